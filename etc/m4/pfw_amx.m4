# PFW_AMX: can this compiler make AMX code for bf16?  AMX_CFLAGS, HAVE_AMX.
AC_DEFUN([PFW_AMX], [
AMX_CFLAGS="-mamx-tile -mamx-bf16 -mavx512bf16"
AC_MSG_CHECKING([whether $CC makes AMX tiles])
pfw_save_CFLAGS=$CFLAGS
CFLAGS="$CFLAGS -mavx512f $AMX_CFLAGS"
AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <immintrin.h>]],
	[[_tile_zero(0); _tile_dpbf16ps(0, 1, 2);
	__m512bh x = _mm512_cvtne2ps_pbh(_mm512_setzero_ps(), _mm512_setzero_ps());
	(void)x;]])],
	[have_amx=yes], [have_amx=no])
CFLAGS=$pfw_save_CFLAGS
AC_MSG_RESULT([$have_amx])
AS_IF([test $have_amx = yes],
	[AC_DEFINE([HAVE_AMX], [1], [The compiler makes AMX tiles])])
AM_CONDITIONAL([HAVE_AMX], [test $have_amx = yes])
AC_SUBST([AMX_CFLAGS])
])
