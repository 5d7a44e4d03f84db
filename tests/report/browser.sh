#!/bin/sh
# The report in a browser: drawn without a network, whole, both timelines on one
# scale, and nothing is asked for from outside the page.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

skip() {
	echo "skipped: $*"
	exit 77
}
browser=$(command -v chromium || command -v chromium-browser ||
	command -v google-chrome) || skip 'no chromium'

fail() {
	echo "FAIL: $*"
	exit 1
}

# seen PAGE [WIDTH]: the page as the browser has it, after a script has measured it.
seen() {
	cat >"$dir/page.html" <<'HTML'
<!doctype html>
<meta http-equiv="Content-Security-Policy"
	content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<script>
let requests = 0;
addEventListener("securitypolicyviolation", () => requests++);
</script>
HTML
	sed '/<\/body>/d' "$1" >>"$dir/page.html"
	cat >>"$dir/page.html" <<'HTML'
<script>
addEventListener("load", () => {
	const svg = [...document.querySelectorAll(".timeline svg")];
	const box = e => e.getBoundingClientRect();
	/* Where time 0 is drawn, and the pixels of a ms: by the first and the
	   last box, whose title is "ACTION: BEGIN to END". */
	const ruler = e => {
		const at = [...e.querySelectorAll("g rect")].map(r =>
			[parseFloat(r.textContent.split(": ")[1]), box(r).x]);
		const [a, b] = [at.reduce((x, y) => x[0] < y[0] ? x : y),
				at.reduce((x, y) => x[0] > y[0] ? x : y)];
		const scale = (b[1] - a[1]) / (b[0] - a[0]);
		return [a[1] - a[0] * scale, scale];
	};
	const rulers = svg.map(ruler);
	const table = document.querySelectorAll("table")[1];
	const shown = e => e && box(e).width > 0 && box(e).height > 0;
	const facts = {
		requests: requests,
		timelines: svg.filter(shown).length,
		boxes: svg.map(e => e.querySelectorAll("rect title").length),
		one_scale: rulers.every(r => Math.abs(r[0] - rulers[0][0]) < 1 &&
			Math.abs(r[1] / rulers[0][1] - 1) < 0.001),
		ranks: [...table.rows].filter(shown).length - 1,
		advice: [...document.querySelectorAll(".advice")].filter(shown).length,
		loss: [...document.querySelectorAll("polyline")].filter(shown).length,
		overflow: document.documentElement.scrollWidth > innerWidth,
		one_ground: getComputedStyle(document.body).backgroundColor ==
			getComputedStyle(document.querySelector(".page")).fill,
		ticks: svg.every(e => e.querySelectorAll("path").length > 1),
		wide: Math.max(...svg.map(e => box(e).width)) <= 6200,
	};
	const p = document.createElement("p");
	for (const name in facts)
		p.append(`${name}=${facts[name]};`);
	document.body.append(p);
});
</script></body></html>
HTML
	timeout 60 "$browser" --headless --no-sandbox --disable-gpu \
		--disable-dev-shm-usage --disable-background-networking --no-first-run \
		--user-data-dir="$dir/profile" \
		--window-size="${2:-1200},1400" --virtual-time-budget=2000 \
		--dump-dom "file://$dir/page.html" 2>"$dir/err" >"$dir/dom" || {
		tail -n 3 "$dir/err"
		skip 'chromium does not start here'
	}
	sed -n 's/.*<p>\(requests=.*\)<\/p>.*/\1/p' "$dir/dom" >"$dir/seen"
	[ -s "$dir/seen" ] || skip 'chromium runs no script here'
	cat "$dir/seen"
}

shows() {
	for fact; do
		grep -q "$fact;" "$dir/seen" || fail "not $fact"
	done
}

cat >"$dir/synthetic.cfg" <<CFG
run = { steps = 4; };
model = { stage = "synthetic"; layers = 8; bytes = 4096; forward_us = [500.0];
	input_us = [500.0]; weight_us = [500.0]; };
pipeline = { schedule = "interleaved"; ranks = 4; chunks = 2; microbatches = 8;
	microbatch_size = 1; };
CFG
cat "$srcdir"/core/*/*.c >"$dir/text"
cat >"$dir/gpt2.cfg" <<CFG
run = { steps = 6; };
model = { stage = "gpt2"; layers = 4; heads = 2; hidden = 32; context = 32;
	vocab = 256; };
pipeline = { schedule = "1f1b"; ranks = 2; microbatches = 4;
	microbatch_size = 1; };
data = { train = "$dir/text"; eval_every = 3; eval_batches = 1; };
CFG
for model in synthetic gpt2; do
	pipefw run "$dir/$model.cfg" --quiet --out "$dir/$model" \
		--trace "$dir/trace.json"
	pipefw report "$dir/$model" >/dev/null
done

seen "$dir/synthetic/report.html"
shows ticks=true one_ground=true wide=true requests=0 timelines=2 boxes=128,128 one_scale=true ranks=4 advice=1 loss=0 \
	overflow=false
seen "$dir/gpt2/report.html"
shows ticks=true requests=0 timelines=2 boxes=16,16 one_scale=true ranks=2 advice=1 loss=2 \
	overflow=false
grep -q '>validation' "$dir/gpt2/report.html" || fail "no legend of validation"

# A curve that is not there has no legend.
pipefw run "$dir/gpt2.cfg" --quiet --out "$dir/train" --trace "$dir/trace.json" \
	--set data.validation=0
pipefw report "$dir/train" >/dev/null
seen "$dir/train/report.html"
shows loss=1
! grep '>validation' "$dir/train/report.html" || fail "a legend of no curve"

# As narrow as a browser without a screen will have it: 500.
seen "$dir/synthetic/report.html" 400
shows overflow=false one_scale=true

# A request would have been seen.
sed 's/<h1>/<img src="missing.png"><h1>/' "$dir/gpt2/report.html" \
	>"$dir/asks.html"
seen "$dir/asks.html"
shows requests=1
