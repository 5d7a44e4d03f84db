# PFW_OPENBLAS: --with-openblas=auto|yes|no; OPENBLAS_CFLAGS, OPENBLAS_LIBS.
# By pkg-config; some distributions have no openblas.pc, or keep the header in
# a folder of its own, so the usual places follow.
AC_DEFUN([PFW_OPENBLAS], [
AC_ARG_WITH([openblas], [AS_HELP_STRING([--with-openblas=auto|yes|no],
	[matrix products of the cpu device by OpenBLAS @<:@auto@:>@])],
	[], [with_openblas=auto])
AS_CASE([$with_openblas], [auto|yes|no], [],
	[AC_MSG_ERROR([--with-openblas=$with_openblas: auto, yes or no])])
have_openblas=no
AS_IF([test "$with_openblas" != no], [
	PKG_CHECK_MODULES([OPENBLAS], [openblas], [have_openblas=yes],
		[PFW_OPENBLAS_TRY([]) PFW_OPENBLAS_TRY([-I/usr/include/openblas])])
	AS_IF([test "$with_openblas$have_openblas" = yesno],
		[AC_MSG_ERROR([--with-openblas=yes, but neither pkg-config nor the linker finds it:
  install libopenblas-dev (Debian), openblas-devel (Fedora, openSUSE) or openblas])])
])
AS_IF([test $have_openblas = yes],
	[AC_DEFINE([HAVE_OPENBLAS], [1], [OpenBLAS is there])])
AM_CONDITIONAL([HAVE_OPENBLAS], [test $have_openblas = yes])
])

# PFW_OPENBLAS_TRY(CPPFLAGS): -lopenblas with cblas.h, if nothing was found yet.
AC_DEFUN([PFW_OPENBLAS_TRY], [
AS_IF([test $have_openblas = no], [
	AC_MSG_CHECKING([for -lopenblas with cblas.h m4_default([$1], [as it is])])
	pfw_save_CPPFLAGS=$CPPFLAGS pfw_save_LIBS=$LIBS
	CPPFLAGS="$CPPFLAGS $1" LIBS="-lopenblas $LIBS"
	AC_LINK_IFELSE([AC_LANG_PROGRAM([@%:@include <cblas.h>],
		[return !openblas_get_config();])],
		[have_openblas=yes OPENBLAS_CFLAGS="$1" OPENBLAS_LIBS=-lopenblas])
	CPPFLAGS=$pfw_save_CPPFLAGS LIBS=$pfw_save_LIBS
	AC_MSG_RESULT([$have_openblas])
])])
