# pipefw schedule: what it draws, writes and refuses.
set -u
fails=0
unset NO_COLOR COLUMNS
LC_ALL=C
export LC_ALL
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT

# same NAME WANT GOT
same() {
	if [ "$2" != "$3" ]; then
		printf '%s\n--- want\n%s\n--- got\n%s\n' "$1" "$2" "$3"
		fails=$((fails + 1))
	fi
}

# refused STATUS WORDS ARG...: nothing on stdout, one sentence on stderr
refused() {
	want=$1 words=$2
	shift 2
	./pipefw schedule "$@" >"$tmp/out" 2>"$tmp/err"
	got=$?
	same "status of: $*" "$want" "$got"
	same "stdout of: $*" "" "$(cat "$tmp/out")"
	case $(cat "$tmp/err") in
	*"$words"*) ;;
	*) same "sentence of: $*" "$words" "$(cat "$tmp/err")" ;;
	esac
}

same "csv" "0F0,0F1,2F0,2F1,2B0,2B1,0B0,0B1
1F0,1F1,3F0,3F1,3B0,3B1,1B0,1B1" \
	"$(./pipefw schedule breadth-first -p 2 -v 2 -m 2 --format csv)"

same "picture" "time    0              5
rank 0 |F0|F1|     |B0   |  |B1   |
rank 1 |  |F0|B0   |F1|B1   |" \
	"$(./pipefw schedule 1f1b -p 2 -m 2 | sed -n '4,6p')"

COLUMNS=60 ./pipefw schedule 1f1b -p 4 -m 8 >"$tmp/narrow"
same "lines of a timeline wider than 60 columns" "" \
	"$(grep '^time\|^rank.*|' "$tmp/narrow" | grep '^.\{61\}')"
same "blocks" 2 "$(grep -c '^rank 0 *|' "$tmp/narrow")"
./pipefw schedule breadth-first -p 8 -v 4 -m 32 >"$tmp/scaled"
same "one block when scaled" 1 "$(grep -c '^rank 0 *|' "$tmp/scaled")"
same "colour in a file" 0 "$(grep -c "$(printf '\033')" "$tmp/narrow")"
same "bubble" 1 "$(grep -c '^bubble *27.3 % of the step' "$tmp/narrow")"

# Who waits for whom, and the path that makes the step as long as it is.
./pipefw schedule 1f1b -p 2 -m 3 >"$tmp/text"
same "idle, by phase and by peer" \
	"rank 0 16.7 % 0.0 % 8.3 % 1's gradients 25.0
rank 1 8.3 % 0.0 % 16.7 % 0's activations 8.3" \
	"$(sed -n '/^idle/,/^$/s/^rank/rank/p' "$tmp/text" | tr -s ' ')"
same "critical path" "critical     0F0 1F0 1B0 1F1 1B1 1F2 1B2 0B2
             8 actions, rank 1's the longest: 9 of 12 F" \
	"$(sed -n '/^critical/,/ actions/p' "$tmp/text")"
same "transfers on the path" 1 "$(./pipefw schedule 1f1b -p 2 -m 3 --hop 0.5 |
	grep -c 'longest: 6 of 14 F; 2 between them$')"
same "a long path has its ends" \
	"critical     0F0 1F0 2F0 3F0 3B0 3F1 ... 3B6 3F7 3B7 2B7 1B7 0B7" \
	"$(grep '^critical' "$tmp/narrow")"
./pipefw schedule interleaved -p 64 -v 2 -m 64 >"$tmp/wide"
same "ranks shown of 64" 8 "$(sed '1,/^step/d' "$tmp/wide" | grep -c '^rank')"
for shape in '1f1b -p 16 -m 99' 'interleaved -p 16 -v 4 -m 64 --hop 0.1'; do
	# shellcheck disable=SC2086 # words
	same "figures of $shape wider than 80 columns" "" \
		"$(./pipefw schedule $shape | sed '1,/^step/d' | grep '^.\{81\}')"
done
# A message of a millisecond: two of them keep a channel busy for two.
./pipefw schedule gpipe -p 2 -m 2 --cost F=1ms,I=1ms,W=1ms --hop 0ms,1MB/s \
	--bytes 1kB --format json >"$tmp/json"
same "a channel in JSON" '"waited": 2, "occupied": 2, "least_live_waited": ' \
	"$(grep -o '"waited.*waited": ' "$tmp/json" | head -n 1)"
same "waits in JSON" 1 \
	"$(grep -c '"waits": \[{"for": 0, "kind": "activation", "time": 2}\]' \
		"$tmp/json")"

if script -qec true /dev/null >/dev/null 2>&1; then
	script -qec './pipefw schedule gpipe -p 2 -m 2' /dev/null >"$tmp/tty"
	same "no colour on a terminal" yes \
		"$(grep -q "$(printf '\033\\[')" "$tmp/tty" && echo yes)"
	script -qec 'NO_COLOR=1 ./pipefw schedule gpipe -p 2 -m 2' /dev/null \
		>"$tmp/tty"
	same "colour in spite of NO_COLOR" 0 \
		"$(grep -c "$(printf '\033\\[')" "$tmp/tty")"
else
	echo "no script(1): colour on a terminal is not tried"
fi

refused 2 'which schedule' -p 2 -m 2
refused 2 '-p is missing' gpipe -m 2
refused 2 '-m is missing' gpipe -p 2
refused 2 'integer from 1 to 67108864, found "0"' gpipe -p 0 -m 2
refused 2 'found "99999999999999999999"' gpipe -p 99999999999999999999 -m 2
refused 2 'p*v*m may be at most' gpipe -p 9999 -m 9999
refused 2 'unknown option "--frobnicate"' gpipe -p 2 -m 2 --frobnicate
refused 2 '--format must be' gpipe -p 2 -m 2 --format png
refused 2 'use v=1' gpipe -p 2 -v 2 -m 2
refused 2 'use group = 5, or m=8 or m=10' interleaved -p 4 -v 2 -m 9
refused 2 'has no option "grop"; did you mean "group"' \
	interleaved -p 4 -v 2 -m 8 --set grop=4
refused 2 'such as 1.5 or 30us, found "fast"' gpipe -p 2 -m 2 --hop fast
same "a dear head, last in depth" "8
6.5" "$(for v in 1 2; do ./pipefw schedule interleaved -p 2 -v $v -m 2 \
	--cost F=1:2,W=0:0 --format json |
	sed -n 's/.*"step_time": \([0-9.]*\).*/\1/p'; done)"
refused 2 'F= has 3 times, and there are 2 ranks: give one, or 2' \
	gpipe -p 2 -m 2 --cost F=1:1:1
refused 2 'found ""' gpipe -p 2 -m 2 --cost F=1:
refused 2 'found "G=1"' gpipe -p 2 -m 2 --cost F=1,G=1
refused 2 'has F= twice' gpipe -p 2 -m 2 --cost F=1,I=1,F=2
refused 2 '/none: there is no such folder' gpipe --cost-from "$tmp/none"
refused 2 'there is no such folder' gpipe --cost-from "$tmp/narrow"
refused 4 'config.cfg: ' gpipe --cost-from "$tmp"
refused 2 'one schedule at a time' gpipe 1f1b -p 2 -m 2
refused 3 'there is no schedule "gpip"' gpip -p 2 -m 2

same "a hop of 1 ms and 1 ms a message" "step         13 ms" \
	"$(./pipefw schedule 1f1b -p 2 -m 2 --cost F=1ms,I=1ms,W=1ms \
		--hop 1ms,1MB/s --bytes 1kB | sed -n 's/^\(step .* ms\);.*/\1/p')"
refused 2 'given together' gpipe -p 2 -m 2 --hop 1us,1GB/s
refused 2 'written as 200Gb/s' gpipe -p 2 -m 2 --hop 1us,fast --bytes 1

# compare: the fastest first, single-chunk schedules marked, refusals below.
./pipefw schedule compare 1f1b zbv interleaved -p 4 -m 9 >"$tmp/table"
same "rows of compare" "zbv 1f1b*" \
	"$(sed -n '4,5s/ .*//p' "$tmp/table" | tr '\n' ' ' | sed 's/ $//')"
same "refused in compare" 1 "$(grep -c '^interleaved: m=9' "$tmp/table")"
./pipefw schedule compare -p 2 -m 4 --format json >"$tmp/all"
same "schedules in compare" "$(./pipefw list schedule | grep -c '^  [a-z0-9]')" \
	"$(grep -c '"name"' "$tmp/all")"
same "parts in diff" "rank 1: the same for 1 actions, then" \
	"$(./pipefw schedule diff gpipe 1f1b -p 2 -m 2 | grep '^rank')"
./pipefw schedule zbv -p 3 -v 2 -m 6 --format csv --header >"$tmp/x.csv"
same "no parts in diff" 1 "$(./pipefw schedule diff zbv "$tmp/x.csv" -p 3 -v 2 \
	-m 6 | grep -c 'every rank does the same')"
# Beside a file: its shape, without what a spreadsheet puts in front of it.
{ printf '\357\273\277' && cat "$tmp/x.csv"; } >"$tmp/z.csv"
same "no parts in diff with a file's shape" 1 "$(./pipefw schedule diff zbv \
	"$tmp/z.csv" | grep -c 'every rank does the same')"
same "compare with a file's shape" 2 \
	"$(./pipefw schedule compare "$tmp/x.csv" zbv | grep -c ' 19    5.3 %')"
same "diff of one chunk and two" "a: zb-h1, p=3 v=1 m=6 b: zbv, p=3 v=2 m=6" \
	"$(./pipefw schedule diff zb-h1 zbv -p 3 -m 6 | sed 2q | tr '\n' ' ' |
		sed 's/ $//')"
sed 's/,5I0/,5I1/' "$tmp/x.csv" >"$tmp/y.csv"
refused 2 'y.csv:' "$tmp/y.csv"
refused 2 '-m 7, and' "$tmp/x.csv" -m 7
refused 2 'keeps 8 micro-batches, more than' gpipe -p 2 -m 8 --memory-cap 7
refused 2 'rank 0 keeps 5.5 micro-batches, more than' \
	interleaved -p 4 -v 2 -m 8 --memory-cap 5
same "a cap counts all chunks of a rank" "zbv zb-h1*" \
	"$(./pipefw schedule compare zbv zb-h1 -p 4 -m 8 --memory-cap 4 |
		sed -n '4,5s/ .*//p' | tr '\n' ' ' | sed 's/ $//')"
refused 2 'diff takes two schedules' diff gpipe -p 2 -m 2
refused 2 'cost takes F, I and W' gpipe -p 2 -m 2 --cost ''
refused 2 'header is for --format csv' gpipe -p 2 -m 2 --header
refused 2 'text or json' compare -p 2 -m 2 --format svg

# Of many ranks the idlest: here the last ones compute ever less.
costs=
for r in $(seq 20); do
	costs=$costs:$((60 - r))
done
./pipefw schedule gpipe -p 20 -m 4 --cost "F=${costs#:}" >"$tmp/out"
same "the idlest of 20 ranks" '19 18 17 16 15 14 13 12' \
	"$(sed -n '/^idle /,/^the other/s/^rank \([0-9]*\) .*/\1/p' "$tmp/out" |
		tr '\n' ' ' | sed 's/ $//')"
same "the rest of them" 'the other 12 are idle no longer than these' \
	"$(grep '^the other' "$tmp/out")"

if command -v python3 >/dev/null 2>&1; then
	for format in json trace; do
		./pipefw schedule zbv -p 3 -v 2 -m 6 --format $format |
			python3 -c 'import json, sys; json.load(sys.stdin)' ||
			same "$format is JSON" yes no
	done
	./pipefw schedule zbv -p 3 -v 2 -m 6 --format svg |
		python3 -c 'import sys, xml.dom.minidom as m; m.parse(sys.stdin)' ||
		same "svg is XML" yes no
fi

if [ -e /dev/full ]; then
	./pipefw schedule gpipe -p 2 -m 2 >/dev/full 2>"$tmp/err"
	same "status on a full disk" 11 $?
	./pipefw schedule gpipe -p 8 -m 99 >/dev/full 2>"$tmp/err"
	same "status where more than a buffer is written" 11 $?
fi
exit $((fails > 0))
