# PFW_SANITIZERS: --enable-sanitizer=address,undefined|thread into SAN_CFLAGS.
AC_DEFUN([PFW_SANITIZERS], [
AC_ARG_ENABLE([sanitizer], [AS_HELP_STRING([--enable-sanitizer=LIST],
	[build with these sanitizers: address,undefined or thread])],
	[], [enable_sanitizer=no])
SAN_CFLAGS=
AS_IF([test "$enable_sanitizer" != no],
	[SAN_CFLAGS="-fsanitize=$enable_sanitizer -fno-omit-frame-pointer"])
AC_SUBST([SAN_CFLAGS])
])
