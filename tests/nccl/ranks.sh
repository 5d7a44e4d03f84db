# Every schedule over nccl as four processes, and as eight, gives the bits of shm.
. "$srcdir/tests/nccl/lib.sh"
gpu=$PWD/tests/cuda/.libs/pipefw-cuda-device.so
[ ! -e "$gpu" ] || set -- --set device="$gpu"

# bits RANKS SCHEDULE CHUNKS
bits() {
	ranks=$1 schedule=$2 chunks=$3
	shift 3
	for transport in shm nccl; do
		train $transport --steps 1 --set data.eval_every=0 \
			--set model.layers=$((ranks * chunks)) \
			--set pipeline.ranks=$ranks --set pipeline.chunks=$chunks \
			--set pipeline.microbatches=$((2 * ranks)) \
			--set pipeline.microbatch_size=1 \
			--set pipeline.schedule=$schedule \
			--set transport=$transport "$@" ||
			fail "$schedule, $ranks ranks: failed over $transport"
	done
	same shm nccl || fail "$schedule, $ranks ranks: other bits over nccl"
}

schedules=$(pipefw list schedules | sed -n 's/^  \([a-z0-9-]*\) .*/\1/p')
[ "$schedules" ] || fail 'no schedules'
for schedule in $schedules; do
	case $schedule in
	1f1b | gpipe | sequential | zb-auto | zb-h1 | zb-h2) chunks=1 ;;
	*) chunks=2 ;;
	esac
	bits 4 "$schedule" $chunks "$@"
	case $schedule in
	1f1b | zbv) bits 8 "$schedule" $chunks "$@" ;;
	esac
done
