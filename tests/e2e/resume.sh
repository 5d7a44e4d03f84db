# 2N steps are N steps, and N more by a run that goes on from there, to the bit:
# with any p, v and schedule.
. "$srcdir/tests/e2e/lib.sh"

steps() {
	numbers | grep '"event":"step"' | tail -n "$1"
}

train whole --steps 6 --set pipeline.ranks=1 --set pipeline.schedule=gpipe ||
	fail 'six steps: failed'
steps 3 >"$tmp/last3"
steps 2 >"$tmp/last2"
train half --steps 3 --set pipeline.ranks=2 || fail 'three steps: failed'
numbers | grep '"event":"eval"' | tail -n 1 >"$tmp/eval3"
train every --steps 5 --set run.save_every=2 --set pipeline.ranks=3 ||
	fail 'saving every second step: failed'
[ "$(ls "$tmp/every/checkpoints")" = 'step-4
step-5' ] || fail 'the newest two checkpoints are kept'
[ "$(grep -c '"event":"save"' "$tmp/out")" = 3 ] || fail 'saves at 2, 4 and 5'

# goes_on FROM LAST [OPTION]...
goes_on() {
	from=$1 last=$2
	shift 2
	train on --steps 6 --set run.resume="$tmp/$from" "$@" ||
		fail "from $from $*: failed"
	steps "$last" | cmp - "$tmp/last$last" || fail "from $from $*: other losses"
	same whole on || fail "from $from $*: other weights"
}

goes_on half 3
goes_on half 3 --set pipeline.ranks=4 --set pipeline.schedule=1f1b
goes_on half 3 --set pipeline.ranks=1 --set pipeline.chunks=3 \
	--set pipeline.schedule=breadth-first
goes_on half 3 --set pipeline.ranks=2 --set pipeline.chunks=2 \
	--set pipeline.schedule=interleaved
goes_on half 3 --set pipeline.ranks=3 --set pipeline.schedule=sequential \
	--set pipeline.ranks_per_process=3
goes_on half 3 --set pipeline.ranks=2 --set pipeline.schedule=zb-h1
goes_on every/checkpoints/step-4 2 --set pipeline.ranks=2

# In the same folder, which is then no obstacle; its own config does as well.
cp -R "$tmp/half" "$tmp/again"
says 0 '"event":"end","step":6' pipefw run "$tmp/again/config.cfg" --json \
	--quiet --out "$tmp/again" --set run.resume="$tmp/again" --steps 6
same whole again || fail 'in the same folder: other weights'
# The latest one is damaged: from the one before, and that is said.
: >"$tmp/every/checkpoints/step-5/model/model.safetensors"
says 0 'going back to step 4' train on --steps 6 --set run.resume="$tmp/every"
same whole on || fail 'from the one before: other weights'

# What would not be the same run is refused.
sed 's/the/teh/' "$tmp/text" >"$tmp/other"
refuses 2 'was trained on other data than .*run.init' \
	--set run.resume="$tmp/half" --set data.train="$tmp/other"
refuses 2 'was begun with run.seed = 1, not 2' --set run.resume="$tmp/half" \
	--set run.seed=2
refuses 2 "$tmp/none" --set run.resume="$tmp/none"
refuses 2 'the saved model has hidden = 32' --set run.resume="$tmp/half" \
	--set model.hidden=64

# From the model alone: it knows what it had learned, and begins at step 0.
for from in half half/model; do
	train init --set run.init="$tmp/$from" || fail "init $from: failed"
	numbers | head -n 1 | sed 's/"step":0/"step":3/' | cmp - "$tmp/eval3" ||
		fail "init $from: begins with another loss"
done

# GPT-2's tokenizer is looked for beside the model that is gone on from.
says 2 'needs data.tokenizer_dir' train none --set data.tokenizer=gpt2
says 4 '/model/vocab.json: ' train none --set data.tokenizer=gpt2 \
	--set run.init="$tmp/half"
