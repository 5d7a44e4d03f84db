# PFW_SANITIZERS: --enable-sanitizer=LIST and --enable-coverage into SAN_CFLAGS,
# which compiler and linker both get.  SIMT_CFLAGS: the same for code that runs
# as fibers, of which ThreadSanitizer keeps no account.
AC_DEFUN([PFW_SANITIZERS], [
AC_ARG_ENABLE([sanitizer], [AS_HELP_STRING([--enable-sanitizer=LIST],
	[build with these sanitizers: address,undefined or thread])],
	[], [enable_sanitizer=no])
AC_ARG_ENABLE([coverage], [AS_HELP_STRING([--enable-coverage],
	[count which lines run, for gcov])],
	[], [enable_coverage=no])
SAN_CFLAGS=
AS_CASE([$enable_sanitizer], [no], [], [yes],
	[AC_MSG_ERROR([--enable-sanitizer needs a list: address,undefined or thread])],
	[SAN_CFLAGS="-fsanitize=$enable_sanitizer -fno-omit-frame-pointer"])
AS_IF([test "$enable_coverage" != no],
	[SAN_CFLAGS="$SAN_CFLAGS --coverage -fprofile-update=atomic"])
AS_IF([test "$SAN_CFLAGS"], [
	AC_MSG_CHECKING([whether $CC links with $SAN_CFLAGS])
	pfw_save_CFLAGS=$CFLAGS
	CFLAGS="$CFLAGS $SAN_CFLAGS"
	AC_LINK_IFELSE([AC_LANG_PROGRAM()], [AC_MSG_RESULT([yes])],
		[AC_MSG_RESULT([no])
		AC_MSG_ERROR([$CC cannot build with $SAN_CFLAGS: is its runtime installed?])])
	CFLAGS=$pfw_save_CFLAGS
])
AS_CASE([$enable_sanitizer], [*thread*], [SIMT_CFLAGS=],
	[SIMT_CFLAGS=$SAN_CFLAGS])
AC_SUBST([SAN_CFLAGS])
AC_SUBST([SIMT_CFLAGS])
])
