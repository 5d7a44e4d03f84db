# What a config is refused for as a whole: the key at fault by file and line, or
# by the option that it came from; status 2, also for a path that leads nowhere.
. "$srcdir/tests/e2e/lib.sh"

cat >"$tmp/whole.cfg" <<'CFG'
run = {
  steps = 2;
  out = "run";
};
model = {
  stage = "gpt2";
  layers = 6;
  heads = 2;
  hidden = 32;
  context = 16;
};
pipeline = {
  schedule = "1f1b";
  ranks = 2;
  chunks = 1;
  microbatches = 4;
  microbatch_size = 2;
};
data = {
  train = "text";
};
CFG

# at KEY TEXT CHANGE [OPTION]...: with that change by sed, refused at KEY's line.
at() {
	key=$1 text=$2
	sed "$3" "$tmp/whole.cfg" >"$tmp/bad.cfg"
	shift 3
	line=$(grep -n "^ *$key =" "$tmp/bad.cfg" | sed 's/:.*//')
	says "${status_wanted-2}" \
		"^pipefw: $tmp/bad.cfg:${line:?no line of $key}: .*$text" \
		pipefw run "$tmp/bad.cfg" --dry-run --quiet "$@"
}

at ranks '15 stages .* for 14 layers.*at most 14' 's/ranks = 2/ranks = 15/'
at heads 'multiple of heads = 5' 's/heads = 2/heads = 5/; /hidden/ d'
at hidden 'hidden = 32 .* heads = 3.*use hidden' 's/heads = 2/heads = 3/'
at layout 'layout .*has 1 stage, ' 's/ranks = 2;/&\n layout = "E t*6 L";/'
at layout "found 'L' where" 's/ranks = 2;/&\n layout = "E t | L";/'
at chunks 'v=2: .*use v=1' 's/chunks = 1/chunks = 2/'
at schedule 'splits\|use v=2' 's/"1f1b"/"zbv"/; s/chunks = 1;//'
at microbatches 'm=9 .*m=10' \
	's/"1f1b"/{ name = "interleaved"; }/; s/ches = 4/ches = 9/; s/ks = 2/ks = 4/'
at schedule 'group = 1 .*p=2' 's/"1f1b"/{ name = "interleaved"; group = 1; }/'
at schedule 'none.csv: ' 's/"1f1b"/{ file = "none.csv"; }/'
at microbatch_size 'make one of them smaller' \
	's/size = 2/size = 65536/; s/context = 16/context = 65536/'
at init 'init and run.resume .*leave one out' \
	's/  out/  init = "a";\n  resume = "a";\n&/'
at min_lr 'at most optimizer.lr' \
	'$ a optimizer = {\n lr = 0.01;\n min_lr = 0.1;\n};'
at data 'data.train must be given' '/train/ d'
at train "$tmp/none: " 's/"text"/"none"/'
at train "a folder where a file" 's/"text"/"."/'
mkfifo "$tmp/fifo"
at train "not a regular file" 's/"text"/"fifo"/'
at train "not a regular file" 's|"text"|"/dev/zero"|'
at validation_file "$tmp/none: " 's/train/validation_file = "none";\n &/'
at tokenizer 'needs data.tokenizer_dir' 's/train/tokenizer = "gpt2";\n &/'
at tokenizer_dir "$tmp/none: " \
	's/train/tokenizer = "gpt2"; \n tokenizer_dir = "none";\n &/'
at init "$tmp/none: " 's/  out/  init = "none";\n&/'
at resume "$tmp/none: " 's/  out/  resume = "none";\n&/'

# What is there and is not right is data's, and the key is named as well.
status_wanted=4
: >"$tmp/empty"
at train "$tmp/empty: is empty" 's/"text"/"empty"/'
printf 'too short' >"$tmp/short"
at train 'short: is too short .* 9 tokens' 's/"text"/"short"/'
at validation_file 'short: is too short .*has 9 tokens, and' \
	's/train/validation_file = "short";\n &/'
at vocab 'is not below model.vocab = 100: bytes want 256' 's/  heads/  vocab = 100;\n&/'
unset status_wanted

# says at the option what the option brought.
from() {
	says 2 "^pipefw: $1: $2" pipefw run "$tmp/whole.cfg" --quiet "$3" "$4"
}
from '--set pipeline.ranks=15' '15 stages' --set pipeline.ranks=15
from '--set model.heads=3' 'hidden = 32' --set model.heads=3
from '--set model.layers=0' 'model.layers must be' --set model.layers=0
from '--set pipeline.schedule=zbv' 'zbv: v=1' --set pipeline.schedule=zbv
from '--set data.train=none' 'data.train must be a file' --set data.train=none
from '--steps two' 'run.steps must be an integer' --steps two
from "--out $tmp" "$tmp: is there already" --out "$tmp"
from "--out $tmp/text/x" "$tmp/text/x: cannot make" --out "$tmp/text/x"

# Without a folder the group is named; an existing one at its line.
sed '/out =/ d' "$tmp/whole.cfg" >"$tmp/bad.cfg"
says 2 "bad.cfg:1: run.out must be given" pipefw run "$tmp/bad.cfg" --quiet
mkdir "$tmp/run"
says 2 "whole.cfg:3: $tmp/run: is there already" pipefw run "$tmp/whole.cfg" \
	--quiet

# What cannot be written at the end is refused before the first step.
for trace in '' "$tmp" "$tmp/none/trace.json" "$tmp/text/trace.json"; do
	says 2 '^pipefw: --trace' pipefw run "$tmp/whole.cfg" --quiet \
		--out "$tmp/new" --trace "$trace"
	[ ! -e "$tmp/new" ] || fail 'a run that is refused leaves a folder'
done
says 2 'which config file' pipefw run ''

# Ranks with another device: which, each once, and a device that is there.
except() {
	sed '/^data/ i device = { except = ( '"$1"' ); };' "$tmp/whole.cfg" \
		>"$tmp/bad.cfg"
	line=$(grep -n '^device' "$tmp/bad.cfg" | sed 's/:.*//')
	says "${3-2}" "^pipefw: $tmp/bad.cfg:$line: .*$2" \
		pipefw run "$tmp/bad.cfg" --dry-run --quiet
}
except '3' 'except.0 must be a group'
except '{ name = "cpu"; }' 'except.0.ranks must be "A" or "A-B", of ranks 0 to 1'
for ranks in 2 1-2 1-0 a -1 ''; do
	except '{ ranks = "'$ranks'"; name = "cpu"; }' 'ranks 0 to 1 (pipeline.ranks)'
done
except '{ ranks = "0-1"; name = "cpu"; }, { ranks = "1"; name = "cpu"; }' \
	'except.1.ranks: rank 1 is in device.except.0 already'
except '{ ranks = "1"; name = "cpux"; }' 'did you mean "cpu"' 3
except '{ ranks = "1"; name = "cpu"; card = 1; }' 'except.0 has no key "card"'
from '--set device.except=cpu' 'device.except must be a list of groups' \
	--set device.except=cpu
# Kernels that there are not: before a rank is started, and for --dry-run as well.
says 2 'PIPEFW_CPU=sse9: must be' env PIPEFW_CPU=sse9 \
	pipefw run "$tmp/whole.cfg" --out "$tmp/never" --quiet
says 2 'PIPEFW_BLAS=mkl: must be' env PIPEFW_BLAS=mkl \
	pipefw run "$tmp/whole.cfg" --dry-run --quiet
[ ! -e "$tmp/never" ] || fail 'a folder of a run that cannot begin'
