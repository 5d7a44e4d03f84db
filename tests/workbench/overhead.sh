#!/bin/sh
# What the engine adds: with layers that take no time, a step of two ranks by the
# actions of the busier one, beside a bare ping between two processes.  Best of
# ten rounds each; tried again where others have the cores.
set -eu
at_most=10
microbatches=512
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

skip() {
	echo "skipped: $*"
	exit 77
}
[ ! "${PIPEFW_VALGRIND-}" ] || skip 'no times under valgrind'
! grep -q '^SAN_CFLAGS = .*-fsanitize' Makefile || skip 'no times of a sanitizer'

cat >"$tmp/run.cfg" <<CFG
run = { steps = 11; };
model = { stage = "synthetic"; layers = 2; bytes = 64; forward_us = [0.0];
	input_us = [0.0]; weight_us = [0.0]; };
pipeline = { schedule = "1f1b"; ranks = 2; microbatches = $microbatches;
	microbatch_size = 1; };
CFG
for try in 1 2 3 4 5; do
	status=0
	ping=$(tests/workbench/ping) || status=$?
	[ $status != 77 ] || skip 'one core only'
	[ $status = 0 ] || exit 1
	pipefw run "$tmp/run.cfg" --json --quiet --overwrite --out "$tmp/run" \
		>"$tmp/said"
	sed -n 's/.*"event":"step".*"step_s":\([0-9.e-]*\).*/\1/p' "$tmp/said" |
		sed 1d | sort -g | sed -n 1p |
		awk -v ping="$ping" -v n=$((2 * microbatches)) -v most=$at_most '{
			action = 1e9 * $1 / n
			printf "an action %.0f ns, a ping %.0f ns: %.1f pings\n",
				action, ping, action / ping
			exit action > most * ping
		}' && exit 0
done
echo "an action takes more than $at_most pings"
exit 1
