# Every kernel as the cuda device calls it, over the stand-in for its libraries,
# against the same references as the cpu's.
. "$srcdir/tests/e2e/lib.sh"
fake=$PWD/tests/cuda/.libs/pipefw-cuda-device.so
[ -e "$fake" ] || { echo 'skipped: no CUDA toolkit'; exit 77; }
mkdir "$tmp/plugins"
ln -s "$fake" "$tmp/plugins"
PIPEFW_PLUGIN_DIR=$tmp/plugins tests/kernels/test_kernels >"$tmp/said" 2>&1 || {
	cat "$tmp/said"
	fail 'kernels of the cuda device are wrong'
}
grep -q '^path: cuda bf16' "$tmp/said" || fail 'the device does not open'
