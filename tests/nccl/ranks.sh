# As four processes, over nccl the bits of shm: a chain, the most messages in flight,
# the last rank back to the first, and a V, which has edges both ways and one of a
# rank to itself.
. "$srcdir/tests/nccl/lib.sh"
gpu=$PWD/tests/cuda/.libs/pipefw-cuda-device.so
[ ! -e "$gpu" ] || set -- --set device="$gpu"

# bits SCHEDULE CHUNKS
bits() {
	schedule=$1 chunks=$2
	shift 2
	for transport in shm nccl; do
		train $transport --steps 1 --set data.eval_every=0 \
			--set model.layers=$((4 * chunks)) \
			--set pipeline.ranks=4 --set pipeline.chunks=$chunks \
			--set pipeline.microbatches=8 \
			--set pipeline.microbatch_size=1 \
			--set pipeline.schedule=$schedule \
			--set transport=$transport "$@" ||
			fail "$schedule: failed over $transport"
	done
	same shm nccl || fail "$schedule: other bits over nccl"
}

# The edges of gpipe, sequential, zb-auto and zb-h1 are those of 1f1b, and those of
# interleaved-zb and breadth-first are interleaved's.
for schedule in 1f1b zb-h2; do
	bits $schedule 1 "$@"
done
for schedule in interleaved zbv dualpipev; do
	bits $schedule 2 "$@"
done
