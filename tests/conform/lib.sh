# For the tests of `pipefw conform`; sourced.
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bad=0
# A sanitizer would make an exit status of the signals that are meant.
ASAN_OPTIONS=${ASAN_OPTIONS-}:handle_segv=0
TSAN_OPTIONS=${TSAN_OPTIONS-}:handle_segv=0
export ASAN_OPTIONS TSAN_OPTIONS

# every KIND: all plugins of that kind that are built hold. (TSan follows no
# threads in forked processes, and tcp has one.)
every() {
	names=$(pipefw list --json "$1" |
		sed -n 's/^{"name": "\([^"]*\)".*"usable": true.*/\1/p')
	[ "$names" ] || { echo "no $1 is found"; exit 1; }
	for name in $names; do
		[ "${PIPEFW_TSAN-}$name" != 1tcp ] || continue
		# The filter trace writes where it is run.
		(cd "$tmp" && pipefw conform "$1:$name") >"$tmp/said" 2>&1 &&
			continue
		cat "$tmp/said"
		bad=1
	done
}

# refused KIND HOW CHECK WORDS: the wrong plugin, wrong that way, is refused by
# that check with these words.
refused() {
	status=0
	pipefw conform --json --check "$3" --set "how=$2" \
		"$PWD/tests/conform/.libs/pipefw-wrong-$1.so" >"$tmp/said" \
		2>"$tmp/err" || status=$?
	grep -v '"result": "holds"' "$tmp/said" |
		grep -F "\"check\": \"$3\"" | grep -q -e "$4" &&
		[ $status = 3 ] && return
	echo "$1 how=$2: status $status, and not refused by '$3' with '$4':"
	grep -v '"result": "holds"' "$tmp/said" || :
	cat "$tmp/err"
	bad=1
}
