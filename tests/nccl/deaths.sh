# A rank that is stopped for less than run.timeout costs time and no bits; one that
# is stopped for longer, or killed, ends the run as on the cpu: on GPUs' memory, over
# shm in place and over nccl.
. "$srcdir/tests/nccl/lib.sh"
gpu=$PWD/tests/cuda/.libs/pipefw-cuda-device.so
[ -e "$gpu" ] || { echo 'skipped: no CUDA toolkit'; exit 77; }

# begin [OPTION]...: a run that has made a step; $run is its launcher, $rank one of
# its ranks.
begin() {
	rm -f "$tmp/out"
	pipefw run "$tmp/tiny.cfg" --json --quiet --overwrite --out "$tmp/now" \
		--set data.eval_every=0 "$@" >"$tmp/out" 2>"$tmp/err" &
	run=$!
	until grep -q '"event":"step"' "$tmp/out" 2>"$tmp/none"; do
		kill -0 $run || fail "$*: never made a step"
		sleep 0.02
	done
	rank=$(cat /proc/[0-9]*/stat 2>"$tmp/none" |
		awk -v of=$run '$4 == of { print $1 }' | sort -n | head -n 1)
	[ "$rank" ] || fail "$*: no rank found"
}

# ended SIGNAL [OPTION]...: what becomes of a run of which a rank gets that signal.
ended() {
	signal=$1
	shift
	begin --steps 500 --set run.timeout=2 "$@"
	kill -"$signal" "$rank"
	status=0
	wait $run || status=$?
	grep -q "rank [01] (process $rank, $word)" "$tmp/err" ||
		fail "$*: SIG$signal: not told which rank"
}

pipefw run "$tmp/tiny.cfg" --quiet --overwrite --out "$tmp/want" --steps 8 \
	--set data.eval_every=0 --set device="$gpu" >"$tmp/out" 2>"$tmp/err" ||
	fail 'nobody is stopped'
for transport in shm nccl; do
	set -- --set device="$gpu" --set transport=$transport
	# Steps of which none is over before its rank is stopped.
	FAKE_CUDA_DELAY=5000 begin --steps 8 "$@"
	kill -STOP "$rank"
	sleep 0.5
	kill -CONT "$rank"
	wait $run || fail "$*: did not go on"
	same now want || fail "$*: other bits after a stop"
done

for signal in STOP KILL; do
	word=stopped
	[ $signal = STOP ] || word=gone
	ended $signal
	want=$status
	[ "$want" != 0 ] || fail "SIG$signal ends nothing"
	for transport in shm nccl; do
		ended $signal --set device="$gpu" --set transport=$transport
		[ "$status" = "$want" ] ||
			fail "$transport: SIG$signal: status $status, not $want"
	done
done
