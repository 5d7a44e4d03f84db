# The fault filter in whole runs: each way ends as it should, a message that was
# lost is named, and filters stand on each other from the config.
set -u
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
cat >"$tmp/run.cfg" <<CFG
run = { steps = 3; timeout = 3.0; };
model = { stage = "synthetic"; layers = 4; bytes = 4096; forward_us = [100.0];
	input_us = [100.0]; weight_us = [100.0]; };
pipeline = { schedule = "1f1b"; ranks = 2; microbatches = 8;
	microbatch_size = 1; };
transport = { name = "shm"; filters = (
	{ name = "trace"; file = "$tmp/messages"; },
	{ name = "delay"; latency_us = 20.0; jitter_us = 10.0; },
	{ name = "fault"; FAULT rank = 0; } ); };
CFG

# ends STATUS SETTINGS WORDS: a run with this fault.
ends() {
	sed "s,FAULT,$2," "$tmp/run.cfg" >"$tmp/this.cfg"
	timeout 60 pipefw run "$tmp/this.cfg" --quiet --overwrite \
		--out "$tmp/run" >"$tmp/said" 2>&1
	got=$?
	[ $got = "$1" ] && { [ ! "$3" ] || grep -q -- "$3" "$tmp/said"; } &&
		return
	echo "FAIL: $2: status $got, not $1, or no \"$3\" in:"
	cat "$tmp/said"
	exit 1
}

# The first message of the channel is that of its opening.
ends 9 'fault = "drop"; at = 5;' \
	'the activation of 0F2 .*: message [0-9]* was lost on the way'
ends 8 'fault = "drop"; at = 10;' \
	'the activation of 0F7, which rank 0 has sent, was lost on its way to rank 1'
# It is past 2B3, at another stage.
sed -i 's/schedule = "1f1b";/schedule = "interleaved"; chunks = 2;/' "$tmp/run.cfg"
ends 8 'fault = "drop"; at = 17;' \
	'the gradient of 2B3, which rank 0 has sent, was lost on its way to rank 1'
sed -i 's/schedule = "interleaved"; chunks = 2;/schedule = "1f1b";/' "$tmp/run.cfg"
ends 1 'fault = "error"; at = 6;' 'message 6 of rank 0 fails'
ends 7 'fault = "kill"; at = 6;' 'rank 0 .* was killed by signal 9'
ends 1 'fault = "error"; rate = 0.1; seed = 3;' 'of rank 0 fails'
sed -i 's/rank = 0; } )/rank = 2; } )/' "$tmp/run.cfg"
ends 6 'at = 6;' 'rank is 2, but ranks go from 0 to 1'
sed -i 's/rank = 2; } )/rank = 0; } )/' "$tmp/run.cfg"
# Its receiver sees it, whichever message it is, and the step is left out.
for at in 6 9 15; do
	ends 0 'fault = "corrupt"; at = '$at';' \
		'step [12]: loss nan, .*: not finite, update left out'
	grep -c '"skipped":true' "$tmp/run/events.jsonl" | grep -qx 1 || {
		echo 'FAIL: not one step was left out'
		exit 1
	}
done
# With a checksum it is refused and named.
cp "$tmp/run.cfg" "$tmp/bare.cfg"
sed -i 's/rank = 0; } ) *; };/rank = 0; }, { name = "checksum"; } ); };/' "$tmp/run.cfg"
way='step [12] (message [0-9]* from rank 0 to rank 1) was damaged'
ends 9 'fault = "corrupt"; at = 6;' "the activation of stage 0, micro-batch 3, $way"
ends 9 'fault = "corrupt"; at = 11;' "the scalar of $way"
ends 0 '' ''
cp "$tmp/bare.cfg" "$tmp/run.cfg"
ends 0 'fault = "stall"; at = 6; stall_ms = 10;' ''
ends 0 'fault = "kill"; trigger = "'"$tmp"'/now";' ''
grep -q ',send,0,1,activation,' "$tmp/messages.0.csv" || {
	echo 'FAIL: the trace has no message'
	exit 1
}
: >"$tmp/now"
ends 7 'fault = "kill"; trigger = "'"$tmp"'/now";' 'was killed by signal 9'
# What was done until then is in the trace, of the rank that was killed as well.
rm "$tmp/now"
sed 's,FAULT,fault = "kill"; at = 20;,' "$tmp/run.cfg" >"$tmp/this.cfg"
pipefw run "$tmp/this.cfg" --quiet --overwrite --trace "$tmp/trace.json" \
	--out "$tmp/run" >"$tmp/said" 2>&1
for rank in 0 1; do
	grep -q '^1	OPT' "$tmp/run/trace/rank-$rank.tsv" || {
		echo "FAIL: no first step in the trace of rank $rank:"
		cat "$tmp/said" "$tmp/run/trace/rank-$rank.tsv"
		exit 1
	}
done
grep -q '"name":"1F0"' "$tmp/trace.json" || {
	echo 'FAIL: no action in the trace for Perfetto'
	exit 1
}
