# Slots of shm that are the memory of the device, over the stand-in: each rank a
# process, each a thread, on one card and on two; where a card's memory cannot be
# lent, or one end has none, what goes by that edge is staged.  Always the same bits.
. "$srcdir/tests/e2e/lib.sh"
fake=$PWD/tests/cuda/.libs/pipefw-cuda-device.so
[ -e "$fake" ] || { echo 'skipped: no CUDA toolkit'; exit 77; }
FAKE_CUDA_DELAY=100
export FAKE_CUDA_DELAY

# run NAME [OPTION]...: as train(), with the header.
run() {
	name=$1
	shift
	pipefw run "$tmp/tiny.cfg" --json --overwrite --out "$tmp/$name" \
		--set device="$fake" "$@" >"$tmp/out" 2>"$tmp/err"
}

# as_one HEADER [OPTION]...: the bits of one rank, and what the header says of shm.
as_one() {
	header=$1
	shift
	run far "$@" || fail "$*: failed"
	grep -q "^  shm  *$header\$" "$tmp/err" || fail "$*: not \"$header\""
	same one far || fail "$*: other bits than one rank"
}

run one --set pipeline.ranks=1 || fail 'one rank'
here='GPU memory in place'
for schedule in gpipe 1f1b zb-h1; do
	as_one "$here" --set pipeline.schedule=$schedule
done
as_one "$here" --set pipeline.ranks=3 --set pipeline.schedule=interleaved \
	--set pipeline.chunks=2
as_one "$here" --set pipeline.ranks=4 --set pipeline.ranks_per_process=2 \
	--set model.layers=6
as_one "$here" --set pipeline.ranks_per_process=2

FAKE_CUDA_DEVICES=2
export FAKE_CUDA_DEVICES
far='GPU memory copied between cards'
as_one "$far" --set pipeline.schedule=zb-h1
as_one "$far" --set pipeline.ranks_per_process=2
as_one "$here, copied between cards (rank 0 and 1 more)" --set pipeline.ranks=3 \
	--set pipeline.schedule=interleaved --set pipeline.chunks=2
unset FAKE_CUDA_DEVICES

# A driver without stream memory operations: the hosts keep the order.
FAKE_CUDA_WORDS=0
export FAKE_CUDA_WORDS
as_one "$here" --set pipeline.schedule=zb-h1
FAKE_CUDA_DEVICES=2 as_one "$far"
unset FAKE_CUDA_WORDS

for call in cudaIpcOpenMemHandle cudaIpcGetMemHandle; do
	FAKE_CUDA_FAIL=$call:1:801
	export FAKE_CUDA_FAIL
	as_one "GPU memory by staging: .*CUDA IPC: $call: .*" \
		--set pipeline.schedule=interleaved --set pipeline.chunks=3
	unset FAKE_CUDA_FAIL
done
run far --set device.except.0.name=cpu --set device.except.0.ranks=1 ||
	fail 'a card and none'
grep -q "GPU memory by staging: .* the host's memory" "$tmp/err" ||
	fail 'a card and none: not said'

# A device that goes on has all the time that it wants, in a step and where it
# evaluates: run.timeout is a small part of either, and many times an action.
FAKE_CUDA_DELAY=20000
run far --steps 1 --set run.timeout=4 --set pipeline.microbatches=48 \
	--set model.layers=2 --set data.validation=0 ||
	fail "a slow step: $(tail -n 1 "$tmp/err")"
run far --steps 1 --set run.timeout=4 --set pipeline.microbatches=1 \
	--set model.layers=2 --set data.eval_batches=128 ||
	fail "a slow evaluation: $(tail -n 1 "$tmp/err")"

# One that is killed while its device is behind leaves none waiting for ever.
status=0
timeout 60 pipefw run "$tmp/tiny.cfg" --overwrite --out "$tmp/far" \
	--set device="$fake" --set pipeline.schedule=gpipe \
	--set transport.name=shm --set transport.filters.0.name=fault \
	--set transport.filters.0.fault=kill --set transport.filters.0.at=7 \
	--set transport.filters.0.rank=0 >"$tmp/out" 2>"$tmp/err" || status=$?
[ $status = 7 ] && grep -q 'rank 0 .* was killed by signal 9 .* at 0F' "$tmp/err" ||
	fail "a killed rank: status $status, or its host was not ahead"
