# PFW_LOOK_FOR(NAME, HEADER, WHAT, [PATHS]): --with-NAME=auto|yes|no. Looks for a
# header that a plugin of this name will need, where the compiler looks and in
# PATHS; have_NAME is yes or no for the summary. Nothing in this version is built
# with it, so that nothing is lost where it is missing.
AC_DEFUN([PFW_LOOK_FOR], [
AC_ARG_WITH([$1], [AS_HELP_STRING([--with-$1=auto|yes|no],
	[look for $3 @<:@auto@:>@])], [], [with_$1=auto])
AS_CASE([$with_$1], [auto|yes|no], [],
	[AC_MSG_ERROR([--with-$1=$with_$1: must be auto, yes or no])])
have_$1=no
AS_IF([test "$with_$1" != no], [
	AC_CHECK_HEADER([$2], [have_$1=yes], [
		for pfw_dir in $4; do
			AS_IF([test -f "$pfw_dir/$2"], [have_$1=yes])
		done])
	AS_IF([test "$with_$1$have_$1" = yesno], [AC_MSG_ERROR([
--with-$1=yes, but $2 is not there: install $3, or leave the option out])])])
])
