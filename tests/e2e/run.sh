# pipefw run on the command line: its events, its folder, and what it refuses.
. "$srcdir/tests/e2e/lib.sh"

# The events of a run, each with its members; people hear nothing.
train run --set run.save_every=1 || fail 'failed'
[ ! -s "$tmp/err" ] || fail '--quiet says something'
cat >"$tmp/members" <<'M'
start version run stage schedule transport device dtype ranks chunks microbatches parameters steps step tokens_per_step byte_entropy
peak flops mfu
step step loss grad_norm lr tokens_per_s step_s bubble model_flops mfu skipped
eval step loss tokens seconds
save step model
end step reason model loss validation_loss seconds bytes copied_bytes
M
while read -r event members; do
	for member in $members; do
		grep "^{\"event\":\"$event\"," "$tmp/out" | grep -q "\"$member\":" ||
			fail "event $event has no member $member"
	done
done <"$tmp/members"
[ "$(head -n 1 "$tmp/out" | cut -c 1-16)" = '{"event":"start"' ] ||
	fail 'start is not the first event'
[ "$(tail -n 1 "$tmp/out" | cut -c 1-14)" = '{"event":"end"' ] ||
	fail 'end is not the last event'
cmp "$tmp/out" "$tmp/run/events.jsonl" || fail 'events.jsonl is another'
if command -v python3 >/dev/null; then
	python3 -c 'import json, sys
for line in open(sys.argv[1]):
    json.loads(line)' "$tmp/out" || fail 'a line is no JSON'
fi
model=$(sed -n 's/.*"event":"end".*"model":"\([^"]*\)".*/\1/p' "$tmp/out")
[ -s "$model/model.safetensors" ] && [ -s "$model/config.json" ] ||
	fail "no model in $model"
[ "$(ls "$tmp/run")" = 'checkpoints
config.cfg
events.jsonl
latest
model
state' ] || fail 'another folder than the manual has'

# Its own config does the same again.
says 0 '"event":"end"' pipefw run "$tmp/run/config.cfg" --json --quiet \
	--out "$tmp/rerun"
same run rerun || fail 'config.cfg gives other weights'

# A bubble is measured where each rank has a core of its own.
cores=$(nproc)
train run --set pipeline.ranks=2 --set pipeline.schedule=gpipe || fail 'failed'
case $cores in
1) want='"bubble":null' ;;
*) want='"bubble":[0-9]' ;;
esac
grep '"event":"step"' "$tmp/out" | grep -q "$want" || fail "$cores cores: $want"
if command -v taskset >/dev/null; then
	one=$(taskset -cp $$ | sed 's/.*: *\([0-9]*\).*/\1/')
	says 0 'bubble n/a (2 ranks on 1 core)' taskset -c "$one" pipefw run \
		"$tmp/tiny.cfg" --json --overwrite --out "$tmp/run"
	grep '"event":"step"' "$tmp/out" | grep -q '"bubble":null' ||
		fail 'two ranks on one core: a bubble'
fi

# A terminal's line is written over, so it must not wrap; the last one is whole.
if script -qec true /dev/null >/dev/null 2>&1; then
	script -qec "COLUMNS=60 pipefw run '$tmp/tiny.cfg' --overwrite --out '$tmp/run'" \
		/dev/null </dev/null | tr -d '\033' | tr '\r' '\n' >"$tmp/out"
	grep -q '^\[Kstep 1/2 loss' "$tmp/out" || fail 'no line for a narrow terminal'
	! grep -q '^\[Kstep 1/2.\{53\}' "$tmp/out" || fail 'a line that wraps'
	grep -q '^\[Kstep     2/2 | .* | bubble .* | eta' "$tmp/out" ||
		fail 'the last line is cut'
else
	echo "no script(1): a narrow terminal is not tried"
fi

# Advice is for people who asked for it, and not in front of a refusal.
says 0 'optimizer.warmup (9) is longer' pipefw run "$tmp/tiny.cfg" \
	--set optimizer.warmup=9 --overwrite --out "$tmp/run"
train run --set optimizer.warmup=9 || fail 'failed'
[ ! -s "$tmp/err" ] || fail '--quiet gives advice'
says 2 'layers' pipefw run "$tmp/tiny.cfg" --set optimizer.warmup=9 \
	--set pipeline.ranks=17 --out "$tmp/refused"
! grep -q 'warmup' "$tmp/err" || fail 'advice on a run that is refused'

# A dry run starts nothing and writes nothing.
says 0 'p=2' pipefw run "$tmp/tiny.cfg" --dry-run --out "$tmp/dry"
[ ! -e "$tmp/dry" ] || fail '--dry-run leaves a folder'
says 0 'entropy  *[0-9]' pipefw run "$tmp/tiny.cfg" --dry-run --set model.layers=22 \
	--set pipeline.ranks=24 --set transport.filters.0.name=delay
! grep '.\{80\}' "$tmp/out" || fail 'lines of more than 79 columns'
says 0 '' pipefw run "$tmp/tiny.cfg" --dry-run --json --out "$tmp/dry"
[ "$(wc -l <"$tmp/out")" = 1 ] || fail '--dry-run --json: not one object'
for word in stages stage rank layers parameters bytes weights gradients optimizer \
	activations scratch slots channels from to kind least_live least_ideal messages \
	launcher_bytes threads binding processors numa_nodes; do
	grep -q "^{\"event\":\"plan\".*\"$word\":" "$tmp/out" || fail "no $word"
done

# More than any machine has: shown, and not begun.
large='--set model.hidden=8192 --set model.heads=64 --set model.layers=4000'
says 0 'with the launcher' pipefw run "$tmp/tiny.cfg" --dry-run $large
says 11 'ranks want .* MiB .*optimizer' pipefw run "$tmp/tiny.cfg" $large \
	--out "$tmp/large"
[ ! -e "$tmp/large" ] || fail 'a run without memory leaves a folder'

# Folders: never over another one, unless told to; never over something else.
refused_out() {
	what=$1 dir=$2
	shift 2
	says 2 "$what" pipefw run "$tmp/tiny.cfg" --quiet --out "$tmp/$dir" "$@"
}
before=$(cksum "$tmp/run/model/model.safetensors")
refused_out 'is there already.*--overwrite' run
mkdir "$tmp/mine"
: >"$tmp/mine/precious"
refused_out "is no run's folder" mine --overwrite
[ -e "$tmp/mine/precious" ] || fail '--overwrite removed what is no run'
refused_out 'run.init = ".*" is to be read from' run --overwrite \
	--set run.init="$tmp/run"
refused_out 'run.resume = ".*" is to be read from' run --overwrite \
	--set run.resume="$tmp/run/latest"
[ -e "$tmp/run/model/model.safetensors" ] ||
	fail '--overwrite removed what the run begins from'
: >"$tmp/file"
refused_out "$tmp/file" file
refused_out "$tmp/file" file/below
[ "$before" = "$(cksum "$tmp/run/model/model.safetensors")" ] ||
	fail 'a refused run changed another'
says 2 'run.out must be given' pipefw run "$tmp/tiny.cfg" --quiet

# Relative paths: in a file from its folder, on the command line from here.
mkdir -p "$tmp/configs" "$tmp/here"
sed -e 's|train = "text"|train = "../text"|' \
	-e 's|steps = 2;|steps = 2; out = "../relative";|' "$tmp/tiny.cfg" \
	>"$tmp/configs/relative.cfg"
(cd "$tmp/here" && says 0 '' pipefw run ../configs/relative.cfg --quiet)
[ -s "$tmp/relative/model/model.safetensors" ] || fail 'out of a file is elsewhere'
(cd "$tmp/here" && says 0 '' pipefw run ../configs/relative.cfg --quiet \
	--out below --set data.train=../text)
[ -s "$tmp/here/below/model/model.safetensors" ] || fail '--out is elsewhere'
same relative here/below || fail 'other weights'

# --set and --steps: the last one counts, the same checks as in the file.
train run --steps 5 --steps 1 --set pipeline.ranks=3 || fail 'failed'
grep -q '"event":"end","step":1,' "$tmp/out" || fail '--steps 1: more of them'
grep -q '"event":"start".*"ranks":3' "$tmp/out" || fail '--set: not three ranks'
refuses 2 'did you mean "ranks"' --set pipeline.rnaks=3
refuses 2 'pipeline.ranks must be an integer' --set pipeline.ranks=two
refuses 2 'run.steps' --steps -1
refuses 2 'data.eval_batches' --set data.eval_batches=4294967297
refuses 2 'optimizer.lr must be a number' --set optimizer.lr=nan

# What does not fit together.
refuses 2 'layers' --set pipeline.ranks=17
refuses 2 'use v=1' --set pipeline.chunks=2
refuses 2 'microbatch' --set pipeline.microbatches=0
refuses 2 'layout' --set pipeline.layout='E t*3 | t*2 L'
refuses 2 'layout' --set pipeline.layout='E t*3 | t*4 L'
refuses 2 'heads\|hidden' --set model.heads=3

# Plugins and data that are not there, or cannot be read.
refuses 3 'nonesuch' --set pipeline.schedule=nonesuch
refuses 3 'nonesuch' --set transport.name=nonesuch
refuses 2 "$tmp/none: " --set data.train="$tmp/none"
refuses 2 "$tmp/here" --set data.train="$tmp/here"
mkfifo "$tmp/fifo"
refuses 2 "$tmp/fifo" --set data.train="$tmp/fifo"
: >"$tmp/empty"
refuses 4 "$tmp/empty" --set data.train="$tmp/empty"
printf 'too short' >"$tmp/short"
refuses 4 "$tmp/short" --set data.train="$tmp/short"
printf '\001\002\003' >"$tmp/odd.bin"
refuses 4 "$tmp/odd.bin" --set data.train="$tmp/odd.bin"
refuses 4 'vocab' --set model.vocab=100
refuses 4 'vocab.json' --set data.tokenizer=gpt2 --set model.vocab=300 \
	--set data.tokenizer_dir="$tmp/here"
refuses 2 "$tmp/none" --set run.init="$tmp/none"
if [ "$(id -u)" != 0 ]; then
	cp "$tmp/text" "$tmp/secret"
	chmod 0 "$tmp/secret"
	refuses 2 "$tmp/secret" --set data.train="$tmp/secret"
fi

# The command line itself.
says 2 'which config file' pipefw run
says 2 'one config file' pipefw run "$tmp/tiny.cfg" "$tmp/tiny.cfg"
says 2 "$tmp/none" pipefw run "$tmp/none"
says 2 '^pipefw run: unknown option "--colour"; see' pipefw run "$tmp/tiny.cfg" \
	--colour
says 2 'did you mean "--steps"?' pipefw run "$tmp/tiny.cfg" --stepz=3
says 2 '^pipefw run: --set wants a value' pipefw run "$tmp/tiny.cfg" --set
says 2 '^pipefw run: --quiet takes no value' pipefw run "$tmp/tiny.cfg" --quiet=1
says 2 '^pipefw report: unknown option "--fromat"; did you mean "--format"' \
	pipefw report x --fromat html
says 2 '^pipefw generate: unknown option "-x"; see' pipefw generate -x
says 2 '^pipefw schedule: unknown option "--hops"; did you mean "--hop"' \
	pipefw schedule 1f1b --hops 1
says 2 '^pipefw schedule: -p wants a value' pipefw schedule 1f1b -p
