# Models saved by pipefw load in Hugging Face's GPT2LMHeadModel, and the other
# way round, with the same loss and gradients in fp32.
#
# Needs Python with torch and transformers (PyPI):
#   python3 -m venv DIR && DIR/bin/pip install torch transformers
#   PIPEFW_PYTHON=DIR/bin/python make check TESTS=tests/hf.sh
set -eu

python=${PIPEFW_PYTHON:-python3}
grads=$top_builddir/tests/hf/gpt2_grads
compare="$python $srcdir/tests/hf/compare.py"

if ! "$python" -c 'import torch, transformers, safetensors' 2>/dev/null; then
	echo "skipped: $python has no torch and transformers;" \
		"set PIPEFW_PYTHON to one that has"
	exit 77
fi

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
export HF_HUB_OFFLINE=1 HF_HUB_DISABLE_PROGRESS_BARS=1 HF_HOME="$tmp/home" \
	OMP_NUM_THREADS=1

# both MODEL: pipefw's loss and gradients of it against transformers'
both() {
	"$grads" grads "$1" "$tmp/tokens" 3 40 "$tmp/ours.safetensors"
	$compare check "$1" "$tmp/tokens" 3 40 "$tmp/ours.safetensors"
}

$compare tokens "$tmp/tokens" 3 40 301

echo "saved by pipefw:"
mkdir "$tmp/run"
"$grads" new "$tmp/run" layers=3 heads=4 hidden=64 context=48 vocab=301
both "$tmp/run/model"

# start MODEL: a run that begins with it and learns nothing ends with it
start() {
	cat >"$tmp/start.cfg" <<-END
	run = { steps = 1; out = "started"; init = "$1"; };
	model = { stage = "gpt2"; };
	pipeline = { schedule = "1f1b"; ranks = 2; microbatches = 2;
		     microbatch_size = 1; };
	optimizer = { lr = 0.0; min_lr = 0.0; weight_decay = 0.0; };
	data = { train = "text"; tokenizer = "byte"; };
	END
	pipefw run "$tmp/start.cfg" --overwrite --quiet
	$compare same "$1" "$tmp/started/model"
}

cat "$srcdir"/core/model/*.c >"$tmp/text"
$compare make "$tmp/made"
for form in single shards bare; do
	echo "saved by transformers, $form:"
	both "$tmp/made/$form"
	start "$tmp/made/$form"
done
