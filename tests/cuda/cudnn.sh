# cuDNN's attention without a card: the toolkit's stub stands in for the driver.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
[ -x tests/cuda/test_cudnn ] || { echo 'skipped: no CUDA toolkit'; exit 77; }
for stub in ${NVCC:+"${NVCC%/bin/nvcc}"/lib*/stubs/libcuda.so} \
	/usr/local/cuda/lib*/stubs/libcuda.so; do
	[ ! -e "$stub" ] || break
done
[ -e "$stub" ] || { echo 'skipped: no stub of libcuda'; exit 77; }
ln -s "$stub" "$tmp/libcuda.so.1"
LD_LIBRARY_PATH=$tmp${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} tests/cuda/test_cudnn
