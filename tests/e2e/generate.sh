# pipefw generate: the same text through one, two and three ranks.
. "$srcdir/tests/e2e/lib.sh"

train run --steps 20 || fail 'failed'
text() {
	pipefw generate "$tmp/run" --prompt 'the of' --tokens 60 "$@" \
		>"$tmp/out" 2>"$tmp/err" || fail "generate $*: failed"
}
text --ranks 1
cp "$tmp/out" "$tmp/want"
[ "$(wc -c <"$tmp/want")" = 67 ] || fail 'not 6 + 60 bytes and a line break'
for p in 2 3; do
	text --ranks $p
	cmp "$tmp/out" "$tmp/want" || fail "p=$p: another text"
	text --ranks $p --set pipeline.ranks_per_process=$p
	cmp "$tmp/out" "$tmp/want" || fail "p=$p, threads: another text"
done
text --seed 2
if cmp -s "$tmp/out" "$tmp/want"; then
	fail 'another seed, the same text'
fi
text --temperature 0 --seed 1
cp "$tmp/out" "$tmp/want"
text --temperature 0 --seed 7 --ranks 3
cmp "$tmp/out" "$tmp/want" || fail 'the likeliest text depends on the seed'
text --top-k 1
cmp "$tmp/out" "$tmp/want" || fail 'the best of one is not the likeliest'

# The model's folder alone does; a prompt may be longer than the context of 16.
says 0 '^the of' pipefw generate "$tmp/run/model" --prompt 'the of' --tokens 5
long='the of and to in is that it was for on as the of and'
says 0 "^$long" pipefw generate "$tmp/run" --prompt "$long" --tokens 40
[ "$(wc -c <"$tmp/out")" = $((${#long} + 41)) ] || fail 'long prompt: too short'

# generate refuses STATUS TEXT ARG...
refused() {
	want=$1 text=$2
	shift 2
	says "$want" "$text" pipefw generate "$@"
	[ "$(wc -l <"$tmp/err")" = 1 ] || fail "$*: more than one sentence"
	[ ! -s "$tmp/out" ] || fail "$*: refused, and prints a text"
}
refused 5 "$tmp/none" "$tmp/none"
refused 5 "$tmp" "$tmp"
cp -RL "$tmp/run/model" "$tmp/hf"
sed -e '/"pipefw"/d' -e 's/"float32",/"float32"/' \
	"$tmp/run/model/config.json" >"$tmp/hf/config.json"
refused 5 'no vocab.json and merges.txt here' "$tmp/hf" --prompt a
head -c 1000 "$tmp/run/model/model.safetensors" >"$tmp/hf/model.safetensors"
cp "$tmp/run/model/config.json" "$tmp/hf/config.json"
refused 5 "$tmp/hf/model.safetensors" "$tmp/hf" --prompt a
refused 2 'is empty' "$tmp/run" --prompt ''
refused 2 'ranks' "$tmp/run" --ranks 0
refused 2 'layers' "$tmp/run" --ranks 17
says 2 'whole number' pipefw generate "$tmp/run" --tokens x

# Ctrl-C ends it, and what was said so far is there.
pipefw generate "$tmp/run" --prompt 'the of' --tokens 1000000 >"$tmp/out" \
	2>"$tmp/err" &
pid=$!
while [ "$(wc -c <"$tmp/out")" -lt 20 ]; do
	kill -0 $pid || fail 'ended by itself'
done
# Shells start background jobs with SIGINT ignored, SIGTERM they leave.
kill -TERM $pid
status=0
wait $pid || status=$?
[ $status = 143 ] || fail "after SIGTERM: status $status"
