# PFW_OPTIMIZE: call it before AC_PROG_CC. CFLAGS stand last on every command
# line, so a default of -O2 there would undo the -O3 of a kernel. Where the user
# gives no CFLAGS, the levels are ours: OPT_CFLAGS for all, KERNEL_CFLAGS for
# the kernels. Where CFLAGS are given, they say it all.
AC_DEFUN([PFW_OPTIMIZE], [
AS_IF([test ${CFLAGS+y}], [OPT_CFLAGS= KERNEL_CFLAGS=],
	[CFLAGS=-g OPT_CFLAGS=-O2 KERNEL_CFLAGS=-O3])
AC_SUBST([OPT_CFLAGS])
AC_SUBST([KERNEL_CFLAGS])
])
