# PFW_CXX: a C++ compiler, with which the tests run CUDA's kernels on the host;
# nothing that is installed needs one.  CXX, HAVE_CXX.
AC_DEFUN([PFW_CXX], [
AC_LANG_PUSH([C++])
# Where there is no compiler for the host, configure takes the builder's.
AC_MSG_CHECKING([whether $CXX compiles C++17 for $host_cpu])
pfw_save_CXXFLAGS=$CXXFLAGS
CXXFLAGS="$CXXFLAGS -std=gnu++17 $SAN_CFLAGS"
AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <functional>
#ifndef __${host_cpu}__
#error "for another machine"
#endif]],
	[[if constexpr (sizeof(int) == 4) return std::function<int()>([] { return 0; })();]])],
	[have_cxx=yes], [have_cxx=no])
CXXFLAGS=$pfw_save_CXXFLAGS
AC_MSG_RESULT([$have_cxx])
AC_LANG_POP([C++])
AS_CASE([$host_cpu], [x86_64|aarch64], [], [have_cxx=no])
AM_CONDITIONAL([HAVE_CXX], [test $have_cxx = yes])
])
