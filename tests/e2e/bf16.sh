# What bf16 costs: the losses of etc/quickstart.cfg are those of fp32 within
# 1 %, each of them; over 200 steps with PIPEFW_LONG=1 (make check-e2e).
. "$srcdir/tests/e2e/lib.sh"
steps=${PIPEFW_LONG:+200}
steps=${steps:-12}

cat "$srcdir"/core/*/*.c >"$tmp/text"
sed "s|\.\./runs/corpus.txt|$tmp/text|" "$srcdir/etc/quickstart.cfg" \
	>"$tmp/tiny.cfg"
for dtype in fp32 bf16; do
	train $dtype --set device.dtype=$dtype --set run.steps=$steps ||
		fail "$dtype failed"
	sed -n 's/.*"event":"step","step":[0-9]*,"loss":\([0-9.]*\),.*/\1/p' \
		"$tmp/out" >"$tmp/losses-$dtype"
done
cmp -s "$tmp/losses-fp32" "$tmp/losses-bf16" && fail 'bf16 computes in fp32'
paste "$tmp/losses-fp32" "$tmp/losses-bf16" | awk -v steps=$steps '
	{ off = ($2 - $1) / $1; off = off < 0 ? -off : off
	  if (off > worst) worst = off }
	END { printf "%d steps, last %s: worst %.3f %%\n", NR, $1,
		100 * worst
	  exit NR != steps || $1 > 4.5 || worst > 0.01 }' ||
	fail 'bf16 is another training'
