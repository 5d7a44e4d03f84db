# PFW_OPTIMIZE: call it before AC_PROG_CC. Where the user gives no CFLAGS, the
# level is ours, in OPT_CFLAGS; where CFLAGS are given, they say it all.
AC_DEFUN([PFW_OPTIMIZE], [
AS_IF([test ${CFLAGS+y}], [OPT_CFLAGS=], [CFLAGS=-g OPT_CFLAGS=-O2])
AC_SUBST([OPT_CFLAGS])
])
