# PFW_HWLOC: --with-hwloc=auto|yes|no; HWLOC_CFLAGS, HWLOC_LIBS.
AC_DEFUN([PFW_HWLOC], [
AC_ARG_WITH([hwloc], [AS_HELP_STRING([--with-hwloc=auto|yes|no],
	[ranks are bound by caches and memory nodes, which hwloc knows @<:@auto@:>@])],
	[], [with_hwloc=auto])
AS_CASE([$with_hwloc], [auto|yes|no], [],
	[AC_MSG_ERROR([--with-hwloc=$with_hwloc: auto, yes or no])])
have_hwloc=no
AS_IF([test "$with_hwloc" != no], [
	PKG_CHECK_MODULES([HWLOC], [hwloc >= 2.0], [have_hwloc=yes], [:])
	AS_IF([test "$with_hwloc$have_hwloc" = yesno],
		[AC_MSG_ERROR([--with-hwloc=yes, but pkg-config finds no hwloc 2.0 or newer:
  install libhwloc-dev (Debian), hwloc-devel (Fedora, openSUSE), hwloc-dev (Alpine) or hwloc (Arch)])])
])
AS_IF([test $have_hwloc = yes],
	[AC_DEFINE([HAVE_HWLOC], [1], [hwloc is there])])
AM_CONDITIONAL([HAVE_HWLOC], [test $have_hwloc = yes])
])
