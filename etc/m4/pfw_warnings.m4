# PFW_WARNINGS: our warnings in WARN_CFLAGS; CFLAGS stays the user's.
AC_DEFUN([PFW_WARNINGS], [
AC_ARG_ENABLE([werror], [AS_HELP_STRING([--enable-werror], [warnings are errors])],
	[], [enable_werror=no])
WARN_CFLAGS=
for pfw_flag in -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wvla -Wundef -Wcast-align -Wwrite-strings; do
	AC_MSG_CHECKING([whether $CC takes $pfw_flag])
	pfw_save_CFLAGS=$CFLAGS
	CFLAGS="$CFLAGS -Werror $pfw_flag"
	AC_COMPILE_IFELSE([AC_LANG_PROGRAM()],
		[AC_MSG_RESULT([yes]); WARN_CFLAGS="$WARN_CFLAGS $pfw_flag"],
		[AC_MSG_RESULT([no])])
	CFLAGS=$pfw_save_CFLAGS
done
AS_IF([test "$enable_werror" = yes], [WARN_CFLAGS="$WARN_CFLAGS -Werror"])
AC_SUBST([WARN_CFLAGS])
])
