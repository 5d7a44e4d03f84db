# tests/gpu/run: skips without a GPU, and its rows say what happened, with the
# stand-in as the card.
set -eu
run=$srcdir/tests/gpu/run
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
status=0
out=$(PATH=/usr/bin:/bin PIPEFW_GPU_BUILD= sh "$run" kernels 2>&1) || status=$?
if [ "$status" = 77 ]; then
	echo "$out" | grep -q '^skipped: no NVIDIA GPU' || { echo "$out"; exit 1; }
fi
status=0
sh "$run" nonsense >"$tmp/out" 2>&1 || status=$?
[ $status = 2 ] && grep -q 'no part "nonsense"' "$tmp/out" || {
	cat "$tmp/out"
	exit 1
}
fake=$PWD/tests/cuda/.libs/pipefw-cuda-device.so
[ -e "$fake" ] || { echo 'skipped: no CUDA toolkit'; exit 77; }
PIPEFW_GPU_BUILD=$PWD PIPEFW_GPU_DEVICE=$fake PIPEFW_GPU_PEAK=0.0001
PIPEFW_PYTHON=/nowhere/python
export PIPEFW_GPU_BUILD PIPEFW_GPU_DEVICE PIPEFW_GPU_PEAK PIPEFW_PYTHON

# rows PART...: the table, also in a file.
rows() {
	status=0
	sh "$run" --table "$tmp/table" "$@" >"$tmp/out" 2>&1 || status=$?
	tail -n "$(wc -l <"$tmp/table")" "$tmp/out" | cmp - "$tmp/table"
}

# row PART TEXT: its row says that.
row() {
	grep -q "^| $1 *| $2" "$tmp/table" || {
		cat "$tmp/out"
		echo "the row of $1 is not \"$2\""
		exit 1
	}
}
rows build curves schedules saved 124M torch-124M gemm graphs mixed engine shm \
	handover cards
[ $status = 0 ] || { cat "$tmp/out"; exit 1; }
grep -q '^Made by .tests/gpu/run --table .* build curves' "$tmp/table"
row build 'skipped .* an existing build'
row curves 'ok .*fp32 [0-9].*bf16 [0-9]'
row schedules 'ok .* 2 runs of 2 schedules.*fp32: the bits of one rank'
row saved 'ok .*to the bit, generated'
row 124M 'ok .*ms a step.*MFU (llm.c) [0-9.]* %, measured [0-9.]* %'
row torch-124M 'skipped .*no PyTorch with CUDA'
row gemm 'ok .*at least [0-9.]* % of cublasLt alone .* at most [0-9.]*e'
row graphs 'ok .*rank 0: [0-9]* of 3 actions; all of them as graphs'
row mixed 'ok .*at most [0-9].*e-.* a second run has the same bits'
row cards 'skipped .*one card here'
row engine 'ok .*[0-9.]* % of a step'
row shm 'ok .* 2 runs of .*the bits of one; GPU memory in place; a killed rank ends'
row handover 'ok .*half a round trip: 8 B [0-9.]* us, .*products beside traffic [0-9.]*x'

FAKE_CUDA_DEVICES=2 rows cards
[ $status = 0 ] || { cat "$tmp/out"; exit 1; }
row cards 'ok .*two ranks on two cards: the bits of one (shm: .*between cards'

PIPEFW_GPU_DEVICE=/nowhere.so
rows saved 124M
[ $status = 1 ] || { cat "$tmp/out"; exit 1; }
row saved 'FAILED .*nowhere'
row 124M 'FAILED .*nowhere'
