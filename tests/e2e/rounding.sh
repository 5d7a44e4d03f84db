# device.rounding = "stochastic": other numbers than to nearest, the same for
# any number of ranks and threads, and in a run that goes on from half way.
. "$srcdir/tests/e2e/lib.sh"
sed -i 's/^run = {/device = { dtype = "bf16"; rounding = "stochastic"; };\n&/' \
	"$tmp/tiny.cfg"

train nearest --steps 6 --set device.rounding=nearest || fail 'nearest: failed'
train whole --steps 6 --set pipeline.ranks=1 --set pipeline.schedule=gpipe ||
	fail 'six steps: failed'
! same nearest whole || fail 'what is rounded at random is rounded to nearest'
numbers >"$tmp/whole.numbers"
train other --steps 6 --set pipeline.ranks=3 --set device.threads=2 ||
	fail 'three ranks: failed'
numbers | cmp - "$tmp/whole.numbers" || fail 'three ranks: other losses'
same whole other || fail 'three ranks: other weights'
for path in generic avx2 avx512 amx; do
	PIPEFW_CPU=$path train one --set pipeline.ranks=1 || continue
	PIPEFW_CPU=$path train two --set pipeline.schedule=zb-h1 ||
		fail "$path: failed"
	same one two || fail "$path: other weights"
done

train half --steps 3 --set pipeline.ranks=2 || fail 'three steps: failed'
train on --steps 6 --set run.resume="$tmp/half" --set pipeline.ranks=3 ||
	fail 'the other three steps: failed'
same whole on || fail 'a run that goes on: other weights'
says 0 '' pipefw generate "$tmp/on" --tokens 4

refuses 2 'device.dtype is "fp32": set that to "bf16", or leave rounding out' \
	--set device.dtype=fp32
refuses 2 'device.rounding.*nearest' --set device.rounding=up
