# Training over nccl gives the bits that it gives over shm, also where each piece of
# the GPUs' work is late; and a peer that dies, or a call that fails, ends the run.
. "$srcdir/tests/nccl/lib.sh"

says 0 'NCCL .*, 1 GPU' pipefw list transports

numbers() {
	sed -n 's/.*\("loss"\|"grad_norm"\|"norm"\): *\([^,}]*\).*/\1 \2/p' "$tmp/out"
}

# same NAME [OPTION]...: over nccl as over shm.
same() {
	name=$1
	shift
	train "$name-shm" "$@" || fail "$name over shm"
	numbers >"$tmp/want"
	[ -s "$tmp/want" ] || fail "$name: no losses"
	train "$name-nccl" --set transport=nccl "$@" || fail "$name over nccl"
	numbers >"$tmp/got"
	cmp "$tmp/want" "$tmp/got" || fail "$name: other numbers over nccl"
}

FAKE_NCCL_APART=1
export FAKE_NCCL_APART
same 1f1b
FAKE_CUDA_DELAY=300
export FAKE_CUDA_DELAY
same late --set pipeline.schedule=zb-h1
same loops --set pipeline.schedule=interleaved --set pipeline.chunks=3
# Rank 1 has an edge to itself, of which NCCL never hears.
same itself --set pipeline.schedule=zbv --set pipeline.chunks=2 --set model.layers=4
# Slots are where the GPU computes: nothing goes by way of the host.
gpu=$PWD/tests/cuda/.libs/pipefw-cuda-device.so
if [ -e "$gpu" ]; then
	same gpu --set device="$gpu" --set pipeline.schedule=zb-h1
	same gpu-loops --set device="$gpu" --set pipeline.schedule=interleaved \
		--set pipeline.chunks=3
fi
unset FAKE_CUDA_DELAY

FAKE_NCCL_FAIL=async:40:2
export FAKE_NCCL_FAIL
status=0
train fails --set transport=nccl || status=$?
[ $status != 0 ] || fail 'a communicator that fails by itself ends no run'
grep -q 'NCCL [01] -> [01] .*unhandled system error' "$tmp/err" ||
	fail 'the failure of a communicator is not told'
