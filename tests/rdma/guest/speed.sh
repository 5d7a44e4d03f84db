# speed ROUNDS: beside perftest, interleaved in one boot; best of the rounds. Both ends
# spin, each on a core of its own: else it is time slices that are measured.
#
# Ends with 3 where in more than half of the rounds our runs made duplicate requests
# and perftest's made none: a fault of ours is there in every round, a queue pair waits a
# second for an answer. speed.sh judges that on a quiet host alone.
soft_roce
traffic=$build/tests/rdma/traffic
perf='-F -d rxe0 -x 1 -u 18'

# counted WHO COMMAND...: notes what it does to that counter in this round.
counted() {
	before=$(counter duplicate_request)
	who=$1
	shift
	"$@"
	echo $round $(($(counter duplicate_request) - before)) >>duplicates.$who
}

# peer TOOL ARG...: the figures of the client's last line.
peer() {
	tool=$1
	shift
	timeout 60 taskset -c 1 $tool $perf "$@" >/dev/null 2>&1 &
	until timeout 60 taskset -c 0 $tool $perf "$@" 10.77.0.1 >peer.out 2>&1; do
		grep -q "Couldn't connect" peer.out || { cat peer.out >&2; break; }
		sleep 0.1
	done
	wait
	grep '^ *[0-9]' peer.out | tail -n 1
}
ours() {
	rm -f address.*
	taskset -c 1 $traffic 1 . "$@" &
	taskset -c 0 $traffic 0 . "$@"
	wait
}
# best max|min: of the numbers on standard input.
best() {
	sort -g | if [ "$1" = max ]; then tail -n 1; else head -n 1; fi
}

for round in $(seq "$1"); do
	for bytes in 262144 1048576; do
		counted ours ours bandwidth $bytes 60 >>ours.$bytes
		counted peer peer ib_write_bw -s $bytes -n 60 | awk '{ print $4 * 1.048576 }' >>peer.$bytes
	done
	counted ours ours latency 64 60 >>ours.latency
	counted peer peer ib_write_lat -s 64 -n 60 | awk '{ print $5 }' >>peer.latency
	# As ours, it waits for completions; a header makes 128 bytes of 64.
	for bytes in 64 128; do
		counted peer peer ib_send_lat -s $bytes -n 60 | awk '{ print $5 }' >>send.$bytes
	done
done
for what in 262144 1048576 latency; do
	which=max
	[ $what != latency ] || which=min
	awk -v what=$what -v a="$(best $which <ours.$what)" -v b="$(best $which <peer.$what)" \
		'BEGIN { printf "%s: ours %s, perftest %s, ratio %.2f\n", what, a, b, a / b }'
done
for bytes in 64 128; do
	echo "ib_send_lat, $bytes bytes: $(best min <send.$bytes)"
done
for who in ours peer; do
	awk -v who=$who '{ n += $2 } END { print who ": duplicate requests: " n }' duplicates.$who
done
awk '{ moved[FILENAME, $1] += $2; seen[$1] }
	END {
		for (r in seen) {
			rounds++
			alone += moved["duplicates.ours", r] && !moved["duplicates.peer", r]
		}
		exit 2 * alone > rounds ? 3 : 0
	}' duplicates.ours duplicates.peer
