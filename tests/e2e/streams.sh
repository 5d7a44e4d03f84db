# Standard streams that are closed, full or left by their reader: sentences and
# exit statuses, and a run goes on.
. "$srcdir/tests/e2e/lib.sh"

ends() {
	tail -n 1 "$tmp/$1/events.jsonl" | grep -q '^{"event":"end"' ||
		fail "$1: did not get to its end"
}

run="pipefw run $tmp/tiny.cfg --overwrite"

status=0
$run --out "$tmp/closed" <&- >&- 2>&- || status=$?
[ "$status" = 0 ] || fail "all streams closed: status $status"
ends closed
! grep -qv '^{"event":' "$tmp/closed/events.jsonl" ||
	fail "what was meant for stderr is in events.jsonl"

# true reads nothing, and is gone before the first step ends.
{
	status=0
	$run --out "$tmp/left" --quiet --json 2>"$tmp/err" || status=$?
	echo "$status" >"$tmp/status"
} | true
[ "$(cat "$tmp/status")" = 11 ] || fail "nobody reads: not status 11"
grep -q 'standard output could not be written' "$tmp/err" ||
	fail "nobody reads: no sentence"
ends left

if [ -e /dev/full ]; then
	for words in --help list "describe run" \
		"run $tmp/tiny.cfg --overwrite --quiet --json --out $tmp/full"; do
		status=0
		# shellcheck disable=SC2086
		pipefw $words >/dev/full 2>"$tmp/err" || status=$?
		[ "$status" = 11 ] || fail "$words: full, and status $status"
	done
fi
