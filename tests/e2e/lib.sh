# What the scripts here share: a folder, a text, a config, and says().
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
watched=$PWD/tests/e2e/.libs/pipefw-watched-device.so

awk 'BEGIN {
	s = 1
	for (i = 0; i < 3000; i++) {
		s = (s * 1103515245 + 12345) % 2147483648
		printf "%s%s", substr("the of and to in is that it was for on as",
			int(s / 65536) % 36 + 1, 4), i % 12 ? " " : "\n"
	}
}' >"$tmp/text"
cat >"$tmp/tiny.cfg" <<'CFG'
run = { steps = 2; seed = 1; timeout = 20.0; };
model = { stage = "gpt2"; layers = 6; heads = 2; hidden = 32; context = 16;
  vocab = 256; };
pipeline = { ranks = 2; microbatches = 4; microbatch_size = 2; };
optimizer = { lr = 1e-2; decay_steps = 50; };
data = { train = "text"; eval_every = 1; eval_batches = 2; };
CFG

fail() {
	echo "$*"
	[ ! -s "$tmp/out" ] || cat "$tmp/out"
	[ ! -s "$tmp/err" ] || cat "$tmp/err"
	exit 1
}

# train NAME [OPTION]...: a run into $tmp/NAME; out and err as says() has them.
train() {
	name=$1
	shift
	pipefw run "$tmp/tiny.cfg" --json --quiet --overwrite --out "$tmp/$name" \
		"$@" >"$tmp/out" 2>"$tmp/err"
}

# says STATUS TEXT COMMAND...: that exit status, that text (a regular
# expression) on one of its outputs.
says() {
	want=$1 text=$2 status=0
	shift 2
	"$@" >"$tmp/out" 2>"$tmp/err" || status=$?
	[ "$status" = "$want" ] || fail "$*: status $status, not $want"
	[ -z "$text" ] || cat "$tmp/out" "$tmp/err" | grep -q -e "$text" ||
		fail "$*: no \"$text\""
}

# refuses STATUS TEXT [OPTION]...: as says(), of a run that never starts: one
# sentence, one error object, nothing written.
refuses() {
	want=$1 text=$2
	shift 2
	rm -rf "$tmp/refused"
	says "$want" "$text" pipefw run "$tmp/tiny.cfg" --json --quiet \
		--out "$tmp/refused" "$@"
	[ ! -e "$tmp/refused" ] || fail "$*: refused, and left a folder"
	[ "$(wc -l <"$tmp/out")" = 1 ] && [ "$(wc -l <"$tmp/err")" = 1 ] ||
		fail "$*: more than one sentence"
	grep -q "^{\"event\":\"error\",\"status\":$want,\"text\":\"" "$tmp/out" ||
		fail "$*: no error object"
}

# same A B: the same weights and moments, to the bit.
same() {
	cmp "$tmp/$1/model/model.safetensors" "$tmp/$2/model/model.safetensors" &&
		cmp "$tmp/$1/state/optimizer.safetensors" \
			"$tmp/$2/state/optimizer.safetensors"
}

# numbers [EVENT]...: the members of $tmp/out that no clock decides.
numbers() {
	sed -n -e 's/"tokens_per_s".*"skipped"/"skipped"/' -e 's/,"seconds".*//' \
		-e '/"event":"\(step\|eval\)"/p' "$tmp/out"
}
