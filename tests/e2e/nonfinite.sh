# A loss or a norm that is not finite: the update is left out on every rank,
# counted, and after run.max_bad_steps in a row the run ends.
. "$srcdir/tests/e2e/lib.sh"

# broken NAME FROM TO [OPTION]...: from one micro-batch to another it goes wrong.
# Four make a step.
broken() {
	name=$1 from=$2 to=$3
	shift 3
	train "$name" --set device.name="$watched" --set device.from="$from" \
		--set device.to="$to" "$@"
}

# What that run gives on one rank, and two steps where nothing goes wrong.
train two --steps 2 || fail "p=1: failed"
for fault in loss gradient; do
	broken one 10 10 --steps 4 --set device.fault=$fault \
		--set pipeline.ranks=1 || fail "$fault: failed"
	numbers >"$tmp/numbers"
	[ "$(grep -c '"skipped":true' "$tmp/out")" = 1 ] ||
		fail "$fault: one step is skipped"
	case $fault in
	loss) member='"loss":null' ;;
	*) member='"grad_norm":null' ;;
	esac
	grep -q "\"step\":3,.*$member,.*\"skipped\":true" "$tmp/out" ||
		fail "$fault: step 3 is skipped, with $member"
	for p in 2 3; do
		broken many 10 10 --steps 4 --set device.fault=$fault \
			--set pipeline.ranks=$p || fail "$fault: failed"
		numbers | cmp - "$tmp/numbers" || fail "$fault p=$p: other numbers"
		same one many || fail "$fault p=$p: other weights"
	done
	# A step that is left out changes nothing.
	broken three 9 9 --steps 3 --set device.fault=$fault ||
		fail "$fault: failed"
	same two three || fail "$fault: the skipped step changed something"
done

for p in 1 2 3; do
	says 10 'not finite 2 steps in a row; lower optimizer.lr' \
		broken bad 5 100 --steps 20 --set run.max_bad_steps=2 \
		--set device.fault=gradient --set pipeline.ranks=$p
	[ "$(grep -c '"skipped":true' "$tmp/out")" = 2 ] ||
		fail "p=$p: two bad steps are enough"
	grep -q '"event":"end","step":3,"reason":"non-finite"' "$tmp/out" ||
		fail "p=$p: no end at step 3"
	[ ! -e "$tmp/bad/model" ] || fail "p=$p: a model was saved"
	grep -q '"event":"end".*"model":null' "$tmp/out" ||
		fail "p=$p: the end names a model that is not there"
done
# Bad ones that are not in a row do not add up.
says 0 '"reason":"done"' broken bad 5 8 --steps 4 --set run.max_bad_steps=2 \
	--set device.fault=gradient
