# What bf16 costs: the losses of etc/quickstart.cfg on etc/quickstart's text are
# those of fp32 within 1 %, each of them; over 200 steps with PIPEFW_LONG=1 (make
# check-e2e), validation losses and means of 10 steps too.  Where that text is not
# installed the C sources are learned, which change from commit to commit and have
# micro-batches that are nothing but a table: one step may then be 2 % off.
. "$srcdir/tests/e2e/lib.sh"
steps=${PIPEFW_LONG:+200}
steps=${steps:-20}
one=0.01

eval "$(sed -n '/^fortunes()/,/^}/p; /^corpus_of_fortunes()/,/^}/p' \
	"$srcdir/etc/quickstart")"
corpus_of_fortunes >"$tmp/text"
if [ ! -s "$tmp/text" ]; then
	cat "$srcdir"/core/*/*.c >"$tmp/text"
	one=0.02
fi
sed "s|\.\./runs/corpus.txt|$tmp/text|" "$srcdir/etc/quickstart.cfg" \
	>"$tmp/tiny.cfg"
for dtype in fp32 bf16; do
	train $dtype --set device.dtype=$dtype --set run.steps=$steps ||
		fail "$dtype failed"
	for event in step eval; do
		sed -n 's/.*"event":"'$event'","step":[0-9]*,"loss":\([0-9.]*\),.*/\1/p' \
			"$tmp/out" >"$tmp/$event-$dtype"
	done
done
cmp -s "$tmp/step-fp32" "$tmp/step-bf16" && fail 'bf16 computes in fp32'

# worst EVENT MEAN_OF MOST: how far off bf16 is, of means of so many losses.
worst() {
	paste "$tmp/$1-fp32" "$tmp/$1-bf16" | awk -v n="$2" -v most="$3" '
		{ fp32 += $1; bf16 += $2 }
		NR % n { next }
		{ off = bf16 / fp32 - 1; off = off < 0 ? -off : off
		  if (off > worst) worst = off
		  fp32 = bf16 = 0 }
		END { printf "worst of %d: %.3f %%\n", NR / n, 100 * worst
		  exit NR < n || worst > most }' ||
		fail "bf16 is another training: $1, means of $2"
}
worst step 1 $one
worst step 10 0.01
worst eval 1 0.01
[ "$(wc -l <"$tmp/step-fp32")" = $steps ] || fail "not $steps steps"
tail -n 1 "$tmp/step-bf16" | awk '{ exit $1 > 4.5 }' || fail 'nothing is learned'
