# cuDNN's attention without a card: the toolkit's stub stands in for the driver.  And
# headers of an older cuDNN are as good as none.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
[ -x tests/cuda/test_cudnn ] || { echo 'skipped: no CUDA toolkit'; exit 77; }
cuda=$(sed -n 's/^CUDA_CPPFLAGS = //p' Makefile)
echo '#define CUDNN_VERSION 8907' >"$tmp/cudnn_version.h"
echo '#include <cudnn_version.h>' >"$tmp/cudnn.h"
for source in dnn dnn_graph dnn_load; do
	# shellcheck disable=SC2086
	$CC -std=gnu11 -fsyntax-only -I"$tmp" -I"$srcdir/include" $cuda \
		-Werror "$srcdir/kernels/cuda/$source.c"
done
for stub in ${NVCC:+"${NVCC%/bin/nvcc}"/lib*/stubs/libcuda.so} \
	/usr/local/cuda/lib*/stubs/libcuda.so; do
	[ ! -e "$stub" ] || break
done
[ -e "$stub" ] || { echo 'skipped: no stub of libcuda'; exit 77; }
ln -s "$stub" "$tmp/libcuda.so.1"
LD_LIBRARY_PATH=$tmp${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} tests/cuda/test_cudnn
