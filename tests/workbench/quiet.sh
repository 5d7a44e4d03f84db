#!/bin/sh
# Between a step's first action and NORM a rank allocates nothing and takes no
# system call but futex, and in each 100 ms of a wait one look whether the other
# lives: with no work, and with gpt2's.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
library=$PWD/tests/workbench/.libs/pipefw-quiet-device.so
steps=4

skip() {
	echo "skipped: $*"
	exit 77
}
[ ! "${PIPEFW_VALGRIND-}" ] || skip 'valgrind has a malloc of its own'
grep -q '^SAN_CFLAGS = .*-fsanitize' Makefile &&
	skip 'a sanitizer has a malloc of its own'

grep -q '^CC = .*musl' Makefile &&
	skip 'a library for musl cannot be loaded into this shell'

cat "$srcdir"/core/*/*.c >"$tmp/text"
cat >"$tmp/synthetic.cfg" <<CFG
run = { steps = $steps; };
model = { stage = "synthetic"; layers = 8; bytes = 4096; forward_us = [0.0];
	input_us = [0.0]; weight_us = [0.0]; };
pipeline = { ranks = 2; chunks = 2; microbatches = 8; microbatch_size = 1; };
CFG
cat >"$tmp/gpt2.cfg" <<CFG
run = { steps = $steps; };
model = { stage = "gpt2"; layers = 4; heads = 2; hidden = 32; context = 16;
	vocab = 256; };
pipeline = { ranks = 2; chunks = 2; microbatches = 8; microbatch_size = 2; };
data = { train = "$tmp/text"; validation = 0.0; };
CFG

# watch MODEL SCHEDULE [OPTION]...: both ranks' lines into $tmp/seen.
watch() {
	model=$1 schedule=$2
	shift 2
	LD_PRELOAD=$library pipefw run "$tmp/$model.cfg" --quiet --overwrite \
		--out "$tmp/run" --set "pipeline.schedule=$schedule" \
		--set "device.name=$library" --set "device.report=$tmp/report" \
		"$@" 2>"$tmp/err" || {
		grep 'no witness' "$tmp/err" && skip 'seccomp cannot notify here'
		cat "$tmp/err"
		exit 1
	}
	cat "$tmp"/report.0 "$tmp"/report.1 >"$tmp/seen"
	! grep clock "$tmp/seen" || skip 'the clock is a system call here'
}

# A witness that hears nothing proves nothing.
watch synthetic interleaved --set device.probe=true
[ "$(grep -c 'calls [1-9][0-9]* allocations 1 ' "$tmp/seen")" = 2 ] || {
	cat "$tmp/seen"
	echo 'the witness saw no system call or not one allocation a rank'
	exit 1
}
watch synthetic interleaved --set 'model.weight_us=[200.0]'
awk -v steps=$steps '$2 != steps || $4 < 64 || $6 { bad = 1 }
	END { exit bad || NR != 2 }' "$tmp/seen" || {
	cat "$tmp/seen"
	echo 'not a sleep for each backward pass'
	exit 1
}

bad=0
for model in synthetic gpt2; do
	for schedule in interleaved breadth-first 'zbv --trace' \
		'gpipe --set pipeline.chunks=1 --set device.threads=2'; do
		case $schedule in
		*--trace) schedule="$schedule $tmp/trace.json" ;;
		esac
		watch $model $schedule
		echo "$model $schedule: $(sed 1q "$tmp/seen")"
		[ "$(grep -c "windows $steps calls 0 allocations 0" \
			"$tmp/seen")" = 2 ] || {
			cat "$tmp/seen"
			bad=1
		}
	done
done
[ $bad = 0 ]
