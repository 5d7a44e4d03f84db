# Every config in etc/examples runs, made small: a few steps of small models on
# a text that is at hand. A config that needs something else is given it here.
set -u
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
examples=$(cd "$srcdir/etc/examples" && pwd)
cat "$srcdir"/include/pipefw/*.h "$srcdir"/core/*/*.h >"$tmp/text"
failures=0

fail() {
	echo "$name: $*"
	tail -n 12 "$tmp/said"
	failures=$((failures + 1))
}

# example STATUS [WORD...]: it ends with that status after two steps.
example() {
	wanted=$1
	shift
	(cd "$tmp" && pipefw run "$examples/$name.cfg" --steps 2 \
		--set data.train="$tmp/text" --set data.eval_batches=1 \
		--set optimizer.warmup=0 --set model.hidden=64 \
		--set model.context=32 --out "$tmp/$name" "$@") \
		>"$tmp/said" 2>&1 </dev/null
	status=$?
	[ $status = "$wanted" ] || { fail "exit status $status, not $wanted"; return; }
	[ $status != 0 ] || [ -s "$tmp/$name/model/model.safetensors" ] ||
		fail 'no model'
}

# As it stands, it fits together: everything but the run itself.
fits() {
	pipefw run "$examples/$name.cfg" --dry-run --set data.train="$tmp/text" \
		--out "$tmp/none" "$@" >"$tmp/said" 2>&1 </dev/null || fail '--dry-run fails'
}

for file in "$examples"/*.cfg; do
	name=${file##*/}
	name=${name%.cfg}
	case $name in
	lost-rank)
		fits
		example 7
		grep -q 'rank 1' "$tmp/said" || fail 'does not name rank 1' ;;
	shakespeare-char)
		fits
		example 0 --set model.heads=4 ;;
	gpt2-finetune)
		# A model that another example has just saved stands in for GPT-2.
		example 0 --set run.init="$tmp/1f1b/model" --set data.tokenizer=byte \
			--set model.vocab=256 --set model.layers=8 --set model.heads=4 ;;
	*)
		fits
		example 0 ;;
	esac
done
[ $failures = 0 ]
