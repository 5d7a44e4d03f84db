# PFW_CUNIT: CUNIT_CFLAGS, CUNIT_LIBS; without it `make check` has no unit tests.
AC_DEFUN([PFW_CUNIT], [
PKG_CHECK_MODULES([CUNIT], [cunit >= 2.1], [have_cunit=yes], [
	AC_MSG_CHECKING([for -lcunit without pkg-config])
	have_cunit=no
	pfw_save_LIBS=$LIBS
	LIBS="-lcunit $LIBS"
	AC_LINK_IFELSE([AC_LANG_PROGRAM([@%:@include <CUnit/CUnit.h>],
		[return CU_initialize_registry();])],
		[have_cunit=yes CUNIT_LIBS=-lcunit])
	LIBS=$pfw_save_LIBS
	AC_MSG_RESULT([$have_cunit])
])
AM_CONDITIONAL([HAVE_CUNIT], [test "$have_cunit" = yes])
])
