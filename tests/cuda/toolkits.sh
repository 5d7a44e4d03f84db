#!/bin/sh
# The cuda device and nccl's transport against other CUDA toolkits, from 11.8 on:
# TOOLKITS names their folders.  One that NVIDIA's wheels were unpacked into
# (runtime, nvcc, nvrtc, nvtx, cublas, and if they are there nccl and cudnn) will
# do: the C sources are checked against its headers, and the kernels compiled by
# its nvcc, or by its NVRTC and ptxas where it has none.
set -eu
[ "${TOOLKITS-}" ] || {
	echo 'check-toolkits: skipped: TOOLKITS names no folder of a CUDA toolkit'
	exit 0
}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
CC=$(sed -n 's/^CC = //p' Makefile)
warn=$(sed -n 's/^WARN_CFLAGS = //p' Makefile)
bad=0

# What NVRTC has no headers for; the kernels' hosts are device code to it, which
# may launch kernels, but not ask for shared memory.
mkdir "$tmp/host"
cat >"$tmp/host/stdint.h" <<'END'
#pragma once
typedef unsigned char uint8_t;
typedef signed char int8_t;
typedef unsigned short uint16_t;
typedef short int16_t;
typedef unsigned uint32_t;
typedef int int32_t;
typedef unsigned long uint64_t, uintptr_t, size_t;
typedef long int64_t;
#define INT32_MAX 2147483647
#define FLT_MAX 3.402823466e+38F
#define DBL_MAX 1.7976931348623157e+308
#define INFINITY __int_as_float(0x7f800000)
#define cudaFuncSetAttribute(f, what, n) ((f) ? (int)(n) : 0)
#define cudaFuncAttributeMaxDynamicSharedMemorySize 0
END
for name in stddef.h cstdint cfloat cmath; do
	echo '#include <stdint.h>' >"$tmp/host/$name"
done

# c FLAGS: every C file that includes a header of CUDA's.
c() {
	for source in "$srcdir"/kernels/cuda/*.c "$srcdir"/tests/cuda/fake_*.c \
		"$srcdir"/tests/cuda/test_lent.c "$srcdir"/tests/gpu/*.c \
		"$srcdir"/plugins/transports/nccl/*.c \
		"$srcdir"/tests/nccl/*.c; do
		case $source in
		*/nccl/*) [ "$nccl" ] || continue ;;
		esac
		# shellcheck disable=SC2086
		$CC -std=gnu11 -fsyntax-only -O2 -Werror $warn -include config.h \
			-DPFW_PLUGIN_VERSION='""' -I"$srcdir/include" \
			-I"$srcdir/core" -I"$srcdir/tests" -I"$srcdir" \
			-I"$srcdir/kernels" -I"$srcdir/kernels/cuda" \
			-I"$srcdir/plugins/transports" "$@" "$source" || bad=1
	done
}

# rtc LIBNVRTC PTXAS: each kernel for each of our capabilities that it knows.
rtc() {
	$CC -o "$tmp/rtc" "$srcdir/tests/cuda/rtc.c" -ldl
	LD_LIBRARY_PATH=$(dirname "$1")
	export LD_LIBRARY_PATH
	known=$("$tmp/rtc" "$1")
	for n in 80 86 89 90 100 120; do
		case $known in *compute_$n*) ;; *) continue ;; esac
		for cu in "$srcdir"/kernels/cuda/*.cu; do
			if ! "$tmp/rtc" "$1" "$cu" "$tmp/ptx" -std=c++17 \
				--gpu-architecture=compute_$n -default-device \
				-rdc=true -I"$tmp/host" -include=stdint.h \
				-I"$srcdir/kernels/cuda" -I"$srcdir/include" ||
				! "$2" -c -arch=sm_$n -o "$tmp/out" "$tmp/ptx"
			then
				echo "${cu##*/} does not compile for sm_$n"
				bad=1
			fi
		done
		by="$by $n"
	done
}

for kit in $TOOLKITS; do
	includes=$(find -L "$kit" -maxdepth 3 -type d -name include)
	set --
	for dir in $includes; do
		set -- "$@" -isystem "$dir"
	done
	has() { find -L "$kit" -maxdepth 5 -name "$1" | head -n 1; }
	nccl=$(has nccl.h)
	version=$(sed -n 's/^#define CUDART_VERSION *//p' "$(has cuda_runtime_api.h)")
	c "$@"
	by='' lib=$(has 'libnvrtc.so.*') ptxas=$(has ptxas)
	if [ -x "$kit/bin/nvcc" ]; then
		NVCC=$kit/bin/nvcc sh "$srcdir/tests/cuda/spills.sh" >"$tmp/log" ||
			{ cat "$tmp/log"; bad=1; }
		by=' by nvcc'
	elif [ "$lib" ] && [ "$ptxas" ]; then
		rtc "$lib" "$ptxas"
	fi
	echo "check-toolkits: $kit is $version: C${nccl:+ and nccl};" \
		"kernels:${by:- no compiler for them}"
done
[ $bad = 0 ] || echo 'check-toolkits: FAILED'
exit $bad
