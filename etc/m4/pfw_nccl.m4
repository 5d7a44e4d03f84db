# PFW_NCCL: --with-nccl=auto|yes|no, after PFW_CUDA. Sets have_nccl and the
# conditional HAVE_NCCL; the nccl transport is built with its header, from 2.18
# on, and opens its library when it is used.
AC_DEFUN([PFW_NCCL], [
AC_ARG_WITH([nccl], [AS_HELP_STRING([--with-nccl=auto|yes|no],
	[the nccl transport, with NCCL from 2.18 on and CUDA @<:@auto@:>@])], [],
	[with_nccl=auto])
AS_CASE([$with_nccl], [auto|yes|no], [],
	[AC_MSG_ERROR([--with-nccl=$with_nccl: must be auto, yes or no])])
have_nccl=no
AS_IF([test "$with_nccl" != no && test $have_cuda = yes], [
	AC_MSG_CHECKING([for NCCL 2.18 or newer])
	pfw_save_CPPFLAGS=$CPPFLAGS
	CPPFLAGS="$CPPFLAGS $CUDA_CPPFLAGS"
	AC_COMPILE_IFELSE([AC_LANG_PROGRAM([@%:@include <nccl.h>],
		[char old@<:@NCCL_VERSION_CODE < NCCL_VERSION(2, 18, 0) ? -1 : 1@:>@;
		 (void)old;])], [have_nccl=yes])
	CPPFLAGS=$pfw_save_CPPFLAGS
	AC_MSG_RESULT([$have_nccl])])
AS_IF([test "$with_nccl$have_nccl" = yesno], [AC_MSG_ERROR([
--with-nccl=yes, but there is no nccl.h of 2.18 or newer, or no CUDA toolkit:
  install libnccl-dev, or leave the option out])])
AM_CONDITIONAL([HAVE_NCCL], [test $have_nccl = yes])
])
