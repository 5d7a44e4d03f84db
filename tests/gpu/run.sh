# tests/gpu/run: skips without a GPU, and its rows say what happened, with the
# stand-in as the card.
set -eu
status=0
out=$(PATH=/usr/bin:/bin PIPEFW_GPU_BUILD= sh "$srcdir/tests/gpu/run" kernels 2>&1) || status=$?
if [ "$status" = 77 ]; then
	echo "$out" | grep -q '^skipped: no NVIDIA GPU' || { echo "$out"; exit 1; }
fi
fake=$PWD/tests/cuda/.libs/pipefw-cuda-device.so
[ -e "$fake" ] || { echo 'skipped: no CUDA toolkit'; exit 77; }
PIPEFW_GPU_BUILD=$PWD PIPEFW_GPU_DEVICE=$fake
export PIPEFW_GPU_BUILD PIPEFW_GPU_DEVICE
out=$(sh "$srcdir/tests/gpu/run" build curves saved) || { echo "$out"; exit 1; }
echo "$out" | grep -q '^| build .*| skipped |' || { echo "$out"; exit 1; }
echo "$out" | grep -q '^| curves .*| ok .*fp32 .*bf16' || { echo "$out"; exit 1; }
echo "$out" | grep -q '^| saved .*| ok ' || { echo "$out"; exit 1; }
status=0
out=$(PIPEFW_GPU_DEVICE=/nowhere.so sh "$srcdir/tests/gpu/run" saved) || status=$?
[ $status = 1 ] && echo "$out" | grep -q '^| saved .*| FAILED ' || {
	echo "$out"
	exit 1
}
