# PFW_OPENBLAS: --with-openblas=auto|yes|no; OPENBLAS_CFLAGS, OPENBLAS_LIBS.
AC_DEFUN([PFW_OPENBLAS], [
AC_ARG_WITH([openblas], [AS_HELP_STRING([--with-openblas=auto|yes|no],
	[matrix products of the cpu device by OpenBLAS @<:@auto@:>@])],
	[], [with_openblas=auto])
AS_CASE([$with_openblas], [auto|yes|no], [],
	[AC_MSG_ERROR([--with-openblas=$with_openblas: auto, yes or no])])
have_openblas=no
AS_IF([test "$with_openblas" != no], [
	PKG_CHECK_MODULES([OPENBLAS], [openblas], [have_openblas=yes], [have_openblas=no])
	AS_IF([test "$with_openblas$have_openblas" = yesno],
		[AC_MSG_ERROR([--with-openblas=yes, but pkg-config finds no openblas])])
])
AS_IF([test $have_openblas = yes],
	[AC_DEFINE([HAVE_OPENBLAS], [1], [OpenBLAS is there])])
AM_CONDITIONAL([HAVE_OPENBLAS], [test $have_openblas = yes])
])
