#!/bin/sh
# What --dry-run says that a run takes is what it takes, within 3 %: anonymous
# memory of all its processes, and each shared page once.
set -eu
within=3
tmp=$(mktemp -d)
pid=
trap '[ ! "$pid" ] || kill -KILL "$pid" 2>/dev/null; rm -rf "$tmp"' EXIT

skip() {
	echo "skipped: $*"
	exit 77
}
[ ! "${PIPEFW_VALGRIND-}" ] || skip 'valgrind has memory of its own'
! grep -q '^SAN_CFLAGS = .*-fsanitize' Makefile ||
	skip 'a sanitizer has memory of its own'
[ ! "${PIPEFW_EMULATOR-}" ] || skip 'an emulator has memory of its own'
[ -r /proc/self/task/$$/children ] || [ -r /proc/$$/task/$$/children ] ||
	skip 'this kernel does not list children'
! grep -q '\[always\]' /sys/kernel/mm/transparent_hugepage/enabled 2>/dev/null ||
	skip 'huge pages are given to whoever does not want them'
unset MALLOC_PERTURB_

cat "$srcdir"/core/*/*.c >"$tmp/text"
cat >"$tmp/small.cfg" <<CFG
run = { steps = 100000; };
model = { stage = "gpt2"; layers = 4; heads = 2; hidden = 64; context = 128;
	vocab = 256; };
pipeline = { microbatches = 4; microbatch_size = 4; };
data = { train = "$tmp/text"; validation = 0.0; };
CFG
sed 's/hidden = 64/hidden = 192/; s/vocab = 256/vocab = 2048/' \
	"$tmp/small.cfg" >"$tmp/large.cfg"
mkfifo "$tmp/events"

# Anonymous bytes of a process, and its share of memory that has no file's name.
bytes() {
	awk '/^[0-9a-f]+-/ { shared = /memfd:/ }
		/^Anonymous:/ && !shared { sum += $2 }
		/^Pss:/ && shared { sum += $2 }
		END { printf "%.0f\n", sum * 1024 }' "/proc/$1/smaps"
}

# measure CONFIG OPTION...: in the middle of a run.
measure() {
	config=$1
	shift
	predicted=$(pipefw run "$tmp/$config.cfg" --dry-run --json --quiet "$@" |
		tr ',{}[]' '\n\n\n\n\n' | awk -F: '
		/^"(weights|gradients|optimizer|activations|scratch|slots)":/ ||
			/^"launcher_bytes":/ { sum += $2 }
		END { printf "%.0f\n", sum }')
	pipefw run "$tmp/$config.cfg" --json --quiet --overwrite \
		--out "$tmp/run" "$@" >"$tmp/events" 2>"$tmp/err" &
	pid=$!
	steps=0
	exec 3<"$tmp/events"
	while [ $steps -lt 3 ] && read -r line <&3; do
		case $line in *'"event":"step"'*) steps=$((steps + 1)) ;; esac
	done
	[ $steps = 3 ] || { cat "$tmp/err"; exit 1; }
	taken=0
	for process in $pid $(cat "/proc/$pid/task/$pid/children"); do
		taken=$((taken + $(bytes "$process")))
	done
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null || :
	pid=
	exec 3<&-
	echo "$config $*: $((taken / 1024)) KiB, predicted $((predicted / 1024))"
	off=$((taken > predicted ? taken - predicted : predicted - taken))
	[ $((off * 100)) -le $((predicted * within)) ] || failed=1
}

failed=0
for dtype in fp32 bf16; do
	for config in small large; do
		for ranks in 1 2; do
			measure $config --set device.dtype=$dtype \
				--set pipeline.ranks=$ranks
		done
	done
done
measure small --set pipeline.ranks=3 --set pipeline.ranks_per_process=2
measure large --set device.threads=3
exit $failed
