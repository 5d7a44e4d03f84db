# PFW_CUDA: --with-cuda=auto|yes|no|DIR and --with-cuda-arch=LIST. Sets
# have_cuda, NVCC, NVCC_ARCH, CUDA_CPPFLAGS, CUDA_LIBS, CUDA_CXX (what the
# toolkit's host code is compiled with) and the conditional HAVE_CUDA; the cuda
# device is built with them.  Toolkits from 11.8 on.
AC_DEFUN([PFW_CUDA], [
AC_ARG_WITH([cuda], [AS_HELP_STRING([--with-cuda=auto|yes|no|DIR],
	[the CUDA toolkit, from 11.8 on @<:@auto@:>@])], [], [with_cuda=auto])
AC_ARG_WITH([cuda-arch], [AS_HELP_STRING([--with-cuda-arch=LIST],
	[compute capabilities to build for, "80,90"; the last also as PTX
	 @<:@the common ones that the toolkit knows@:>@])],
	[], [with_cuda_arch=auto])
have_cuda=no cuda_missing=
AS_CASE([$with_cuda],
	[no], [],
	[auto|yes], [AS_IF([test "$with_cuda$cross_compiling" != autoyes],
		[PFW_CUDA_FIND(["$CUDA_HOME" "$CUDA_PATH" \
			"`command -v nvcc | sed 's|/bin/nvcc$||'`" \
			/usr/local/cuda /opt/cuda /usr/lib/cuda])])],
	[PFW_CUDA_FIND(["$with_cuda"])])
AS_IF([test "$have_cuda" = no && test "$with_cuda" != auto &&
	test "$with_cuda" != no], [AC_MSG_ERROR([
--with-cuda=$with_cuda: ${cuda_missing:-no toolkit is there}; install the CUDA toolkit
  (11.8 or newer), name its folder, or leave the option out])])
AS_IF([test $have_cuda = yes], [PFW_CUDA_ARCH])
AC_SUBST([NVCC])
AC_SUBST([NVCC_ARCH])
AC_SUBST([CUDA_CPPFLAGS])
AC_SUBST([CUDA_LIBS])
AC_SUBST([CUDA_CXX])
AM_CONDITIONAL([HAVE_CUDA], [test $have_cuda = yes])
])

# PFW_CUDA_FIND(DIRS): the first of these that is a toolkit which works.
AC_DEFUN([PFW_CUDA_FIND], [
AC_MSG_CHECKING([for the CUDA toolkit])
for cuda_dir in $1; do
	AS_IF([test $have_cuda = no && test -n "$cuda_dir" &&
		test -x "$cuda_dir/bin/nvcc"], [PFW_CUDA_TRY])
done
AS_IF([test $have_cuda = yes],
	[AC_MSG_RESULT([$cuda_version in $cuda_dir_found])],
	[AC_MSG_RESULT([no${cuda_missing:+: $cuda_missing}])])
])

# A program of this compiler links with it (on musl it does not), and its nvcc
# compiles.
AC_DEFUN([PFW_CUDA_TRY], [
cuda_version=`"$cuda_dir/bin/nvcc" --version 2>/dev/null |
	sed -n 's/.*release \(@<:@0-9.@:>@*\).*/\1/p'`
cuda_major=${cuda_version%%.*} cuda_minor=${cuda_version#*.}
AS_IF([test -z "$cuda_version"], [cuda_missing="nvcc in $cuda_dir does not run"],
      [test "$cuda_major" -lt 11 ||
	{ test "$cuda_major" = 11 && test "$cuda_minor" -lt 8; }],
	[cuda_missing="$cuda_dir is toolkit $cuda_version, older than 11.8"],
      [pfw_save_CPPFLAGS=$CPPFLAGS pfw_save_LIBS=$LIBS
	CUDA_CPPFLAGS="-isystem $cuda_dir/include"
	for cuda_lib in "$cuda_dir"/lib64 "$cuda_dir"/lib "$cuda_dir"/targets/*/lib; do
		AS_IF([test $have_cuda = no && test -e "$cuda_lib/libcudart.so"], [
			CUDA_LIBS="-L$cuda_lib -Wl,-rpath,$cuda_lib -lcudart"
			CPPFLAGS="$CPPFLAGS $CUDA_CPPFLAGS" LIBS="$CUDA_LIBS $LIBS"
			AC_LINK_IFELSE([AC_LANG_PROGRAM([@%:@include <cuda_runtime_api.h>
@%:@include <cublasLt.h>], [int n; return cudaGetDeviceCount(&n);])],
				[have_cuda=yes])
			CPPFLAGS=$pfw_save_CPPFLAGS LIBS=$pfw_save_LIBS])
	done
	AS_IF([test $have_cuda = no],
		[cuda_missing="$CC does not link with libcudart and cublasLt.h of $cuda_dir"],
	      [PFW_CUDA_COMPILES])])
])

AC_DEFUN([PFW_CUDA_COMPILES], [
echo '__global__ void k(int *x) { *x = 1; }' >conftest.cu
AS_IF(["$cuda_dir/bin/nvcc" -c conftest.cu -o conftest.cuo >&AS_MESSAGE_LOG_FD 2>&1],
	[NVCC=$cuda_dir/bin/nvcc cuda_dir_found=$cuda_dir
	 CUDA_CXX=`command -v "${CXX:-g++}" || command -v c++`],
	[have_cuda=no cuda_missing="nvcc in $cuda_dir finds no C++ compiler that it takes"])
rm -f conftest.cu conftest.cuo
])

# NVCC_ARCH: code for each capability that this nvcc knows, and PTX of the last,
# which newer cards take.
AC_DEFUN([PFW_CUDA_ARCH], [
AS_IF([test "$with_cuda_arch" = auto], [
	with_cuda_arch=80,86,89,90
	AS_IF([test "$cuda_major" -gt 12 ||
		{ test "$cuda_major" = 12 && test "$cuda_minor" -ge 8; }],
		[with_cuda_arch=$with_cuda_arch,100,120])])
NVCC_ARCH= cuda_last= cuda_unknown=
cuda_known=`"$NVCC" --list-gpu-arch 2>&AS_MESSAGE_LOG_FD`
for cuda_arch in `echo "$with_cuda_arch" | tr ',' ' '`; do
	AS_CASE([$cuda_arch], [*@<:@!0-9a-z@:>@*|@<:@!0-9@:>@*], [AC_MSG_ERROR([
--with-cuda-arch=$with_cuda_arch: "$cuda_arch" is no compute capability such as 90])])
	cuda_number=`echo "$cuda_arch" | tr -d 'a-z'`
	AS_IF([test "$cuda_number" -lt 80], [AC_MSG_ERROR([
--with-cuda-arch=$with_cuda_arch: $cuda_arch is below 80 (Ampere), the least that the
  cuda device runs on])])
	AS_IF([test -n "$cuda_known" &&
		! echo "$cuda_known" | grep -q "^compute_$cuda_number$"],
	      [cuda_unknown="$cuda_unknown $cuda_arch"],
	      [cuda_last=$cuda_arch
	       NVCC_ARCH="$NVCC_ARCH -gencode arch=compute_$cuda_arch,code=sm_$cuda_arch"])
done
AS_IF([test -z "$cuda_last"], [AC_MSG_ERROR([
--with-cuda-arch=$with_cuda_arch: CUDA $cuda_version knows none of these; see nvcc --list-gpu-arch])])
AS_IF([test -n "$cuda_unknown"],
	[AC_MSG_WARN([CUDA $cuda_version does not know$cuda_unknown: left out])
	 with_cuda_arch=`echo "$NVCC_ARCH" |
		sed 's/ -gencode arch=@<:@^,@:>@*,code=sm_/,/g; s/^,//'`])
NVCC_ARCH="$NVCC_ARCH -gencode arch=compute_$cuda_last,code=compute_$cuda_last"
])
