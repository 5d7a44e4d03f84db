# Training on the cuda device over the stand-in, whose streams are late at random,
# gives the losses that the cpu gives.
. "$srcdir/tests/e2e/lib.sh"
fake=$PWD/tests/cuda/.libs/pipefw-cuda-device.so
[ -e "$fake" ] || { echo 'skipped: no CUDA toolkit'; exit 77; }
FAKE_CUDA_DELAY=100
export FAKE_CUDA_DELAY

# losses FILE: those of steps and of evaluations.
losses() { sed -n 's/.*"loss":\([0-9.]*\),.*/\1/p' "$1"; }

# near PART A B: numbers that differ by less than this part of them.
near() {
	paste "$2" "$3" | awk -v part="$1" '
		NF != 2 || ($1 - $2) ^ 2 > (part * $1) ^ 2 {
			print "the losses differ: " $0; bad = 1
		}
		END { exit bad || !NR }'
}

train cpu --set pipeline.ranks=1 || fail 'no loss of the cpu'
losses "$tmp/out" >"$tmp/cpu.losses"
train cuda --set pipeline.ranks=1 --set device="$fake" || fail 'no loss of cuda'
losses "$tmp/out" >"$tmp/cuda.losses"
near 1e-6 "$tmp/cpu.losses" "$tmp/cuda.losses" || fail 'cuda learns something else'
pipefw generate "$tmp/cuda" --tokens 4 >"$tmp/out" 2>"$tmp/err" ||
	fail 'what was saved from the device does not generate'

# same WHAT OPTION...: the losses and the model of one rank, to the bit.
same() {
	what=$1
	shift
	train other --set device="$fake" "$@" || fail "$what: failed"
	losses "$tmp/out" | cmp -s - "$tmp/cuda.losses" ||
		fail "$what: other losses than one rank"
	cmp -s "$tmp/other/model/model.safetensors" \
		"$tmp/cuda/model/model.safetensors" ||
		fail "$what: another model than one rank"
}
for schedule in gpipe 1f1b zb-h1 zb-h2; do
	same "$schedule, 2 ranks" --set pipeline.schedule=$schedule
done
for schedule in interleaved breadth-first; do
	same "$schedule, 2 ranks" --set pipeline.schedule=$schedule \
		--set pipeline.chunks=2
done
same '4 ranks, two a process' --set pipeline.ranks=4 \
	--set pipeline.ranks_per_process=2

# F, B, I and W as graphs, from the second of each on, or where that is faster.
for graphs in off on auto; do
	same "graphs = $graphs" --set pipeline.ranks=1 \
		--set device.graphs=$graphs
	same "zb-h1, graphs = $graphs" --set pipeline.schedule=zb-h1 \
		--set device.graphs=$graphs --set pipeline.ranks_per_process=2
done
for graphs in 'off off$' 'on on: each F, B' 'auto auto: each .* first steps'; do
	says 0 "^  graphs  *${graphs#* }" pipefw run "$tmp/tiny.cfg" \
		--overwrite --out "$tmp/other" --steps 4 --set device="$fake" \
		--set pipeline.ranks=1 --set device.graphs="${graphs%% *}"
done
says 0 '^  graphs  *rank 0: 3 of 3 actions$' pipefw run "$tmp/tiny.cfg" \
	--overwrite --out "$tmp/other" --steps 6 --set device="$fake" \
	--set pipeline.ranks=1 --set device.graphs=on --set model.layers=1
says 0 'graphs *rank 0: [0-9]* of 3 actions; all .* ms, call by call .* ms' \
	pipefw run "$tmp/tiny.cfg" --overwrite --out "$tmp/other" --steps 9 \
	--set device="$fake" --set pipeline.ranks=1 --set model.layers=1
(
	FAKE_CUDA_FAIL=cudaGraphLaunch:1:1
	export FAKE_CUDA_FAIL
	! train other --set device="$fake" --set device.graphs=on ||
		fail 'no graph is launched'
	train other --set device="$fake" --set device.graphs=off ||
		fail 'graphs that nobody wanted'
	FAKE_CUDA_FAIL=cudaStreamEndCapture:2:1
	! train other --set device="$fake" --set device.graphs=on ||
		fail 'what cannot be recorded is passed over'
	grep -q 'cudaStreamEndCapture: invalid argument (graphs = "on")' \
		"$tmp/err" || fail 'nobody says what cannot be recorded'
	same 'what cannot be recorded' --set pipeline.ranks=1
	FAKE_CUDA_FAIL=cudaStreamBeginCapture:2:1
	same 'what cannot be begun' --set pipeline.ranks=1
	FAKE_CUDA_FAIL=cudaStreamEndCapture:2:1
	says 0 'graphs *rank 0: no more of them: cuda: cudaStreamEndCapture' \
		pipefw run "$tmp/tiny.cfg" --overwrite --out "$tmp/other" \
		--steps 9 --set device="$fake" --set pipeline.ranks=1 \
		--set model.layers=1
)

# Ranks of both kinds in one pipeline, either one first, also as it was written.
for rank in 0 1; do
	train mixed --set device="$fake" --set device.except.0.name=cpu \
		--set device.except.0.ranks=$rank --set pipeline.schedule=zb-h1 ||
		fail "no loss where rank $rank is a cpu"
	losses "$tmp/out" >"$tmp/mixed.losses"
	near 1e-6 "$tmp/cpu.losses" "$tmp/mixed.losses" ||
		fail "they learn something else where rank $rank is a cpu"
	! cmp -s "$tmp/mixed/model/model.safetensors" \
		"$tmp/cuda/model/model.safetensors" || fail 'there is no cpu'
	pipefw run "$tmp/mixed/config.cfg" --json --quiet --overwrite \
		--out "$tmp/again" >"$tmp/out" 2>"$tmp/err" ||
		fail 'what was mixed does not run again'
	cmp -s "$tmp/mixed/model/model.safetensors" \
		"$tmp/again/model/model.safetensors" || fail 'and runs otherwise'
done
says 0 'device  *cpu fp32 .* from rank 1 to rank 1$' pipefw run \
	"$tmp/mixed/config.cfg" --overwrite --out "$tmp/again"

train other --set device="$fake" --set device.dtype=bf16 ||
	fail 'no loss of cuda in bf16'
losses "$tmp/out" >"$tmp/bf16.losses"
near 1e-2 "$tmp/cpu.losses" "$tmp/bf16.losses" ||
	fail 'cuda learns something else in bf16'
! cmp -s "$tmp/bf16.losses" "$tmp/cuda.losses" || fail 'bf16 is fp32'

# cuDNN is looked for when it is asked for.
echo nothing >"$tmp/libcudnn.so.9"
(
	LD_LIBRARY_PATH=$tmp${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
	export LD_LIBRARY_PATH
	! train other --set device="$fake" --set device.dtype=bf16 \
		--set device.attention=cudnn || fail 'cuDNN is not asked for'
	missing='libcudnn.so.9.*install\|built without'
	grep -q "attention = \"cudnn\": .*\($missing\)" "$tmp/err" ||
		fail 'nobody says that cuDNN is missing'
	pipefw run "$tmp/tiny.cfg" --json --overwrite --out "$tmp/other" \
		--set device="$fake" --set device.dtype=bf16 \
		--set device.attention=auto >"$tmp/out" 2>"$tmp/err" ||
		fail 'cuDNN, where it can: failed'
	grep -q "^  device  *attention by own kernels, not by cuDNN: .*\($missing\)" \
		"$tmp/err" || fail 'nobody says why cuDNN is not used'
	losses "$tmp/out" | cmp -s - "$tmp/bf16.losses" ||
		fail 'not cuDNN, and not our own attention'
)
# Its workspace is planned: 2 bytes for each score of a backward, in whole tiles of
# 128 rows, and a MiB; the launcher's own memory, which is counted too, differs from
# run to run by some pages.
scratch() {
	pipefw run "$tmp/tiny.cfg" --dry-run --json --set device="$fake" \
		--set device.dtype=bf16 --set pipeline.ranks=1 \
		--set device.attention="$1" 2>&1 |
		sed -n 's/.*"scratch":\([0-9]*\).*/\1/p'
}
own=$(scratch own) more=$(scratch cudnn)
apart=$((more - own - 128 * 128 * 2 * 2 * 2 - 1048576))
[ $apart -gt -65536 ] && [ $apart -lt 65536 ] ||
	fail "cuDNN's workspace is not planned: $own with our own, $more with it"
# But not where it is left to the device, and cuDNN is not there.
none=$(
	LD_LIBRARY_PATH=$tmp${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
	export LD_LIBRARY_PATH
	scratch auto
)
apart=$((none - own))
[ $apart -gt -65536 ] && [ $apart -lt 65536 ] ||
	fail "a workspace is planned for no cuDNN: $own with our own, $none"
! train other --set device="$fake" --set device.attention=cudnn ||
	fail 'cuDNN in fp32'
grep -q 'is for device.dtype = "bf16" alone' "$tmp/err" ||
	fail 'nobody says that cuDNN has no fp32'

# What the kernels cannot do is refused before a rank is started.
refuses 2 'device.rounding.*cuda.* rounds weights to nearest alone' \
	--set device="$fake" --set device.dtype=bf16 \
	--set device.rounding=stochastic
refuses 2 'model.hidden=12352: hidden = 12352 is wider than 12288' \
	--set device="$fake" --set model.hidden=12352 --set model.heads=193
refuses 2 'context = 262144 is longer than 262140' \
	--set device="$fake" --set model.context=262144
refuses 2 'microbatch_size = 65536 .* more than 1048576 tokens' \
	--set device="$fake" --set model.context=32 \
	--set pipeline.microbatch_size=65536
refuses 2 'heads = 64 .* more than 8388608 tokens of all heads' --set device="$fake" \
	--set model.hidden=512 --set model.heads=64 \
	--set pipeline.microbatch_size=8193

# What is not finite is left out, whether the device decides it or rank 0.
for p in 1 2; do
	says 10 'not finite 2 steps in a row' pipefw run "$tmp/tiny.cfg" --json \
		--quiet --overwrite --out "$tmp/bad" --steps 20 \
		--set device="$fake" --set pipeline.ranks=$p \
		--set run.max_bad_steps=2 --set optimizer.lr=1000.0 \
		--set optimizer.weight_decay=1000.0 --set optimizer.min_lr=1000.0
	sed -n 's/.*"step":\([0-9]*\).*"lr":\([0-9.e+-]*\),.*\("skipped.*\)}/\1 \2 \3/p' \
		"$tmp/out" >"$tmp/bad.$p"
done
grep -c true "$tmp/bad.1" | grep -qx 2 && cmp "$tmp/bad.1" "$tmp/bad.2" ||
	fail 'one rank leaves out other steps than two'

# The host waits for the device where a step ends, not within it.
waits() {
	rm -f "$tmp/tally"
	count=$1
	shift
	FAKE_CUDA_TALLY=$tmp/tally train other --set device="$fake" \
		--set pipeline.microbatches="$count" "$@" ||
		fail "$count micro-batches: failed"
	wc -c <"$tmp/tally"
}
few=$(waits 2) many=$(waits 8)
[ "$few" -gt 0 ] || fail 'the stand-in counts no waits'
[ "$few" = "$many" ] ||
	fail "the host waits $few times in 2 micro-batches, $many times in 8"

# A rank alone: to read what the step came to, and its times.
set -- --set pipeline.ranks=1 --set data.validation=0 --set run.steps
few=$(waits 2 "$@=2") many=$(waits 2 "$@=5")
[ "$((many - few))" = 6 ] ||
	fail "the host waits $few times in 2 steps, $many times in 5"

# What the device did, by its own clock: begun in turn, each for some time.
train other --set device="$fake" --trace "$tmp/t.json" || fail 'no trace of cuda'
awk -F '\t' 'NR > 1 && $2 ~ /F|B/ && $2 != "NORM" {
	if ($4 < left || $5 <= $4) { print "out of turn: " $0; bad = 1 }
	left = $5; n++ } END { exit bad || n != 16 }' \
	"$tmp/other/trace/rank-0.tsv" ||
	fail 'the trace of cuda is not in the order of the device'

# A profiler sees the actions by name, in the order of the plan.
NVTX_INJECTION64_PATH=$PWD/tests/cuda/.libs/pipefw-profiler.so \
	FAKE_PROFILE=$tmp/ranges train other --set device="$fake" \
	--trace "$tmp/t.json" --set data.validation=0 || fail 'no run to profile'
for rank in 0 1; do
	awk -F '\t' 'NR > 1 { print $2 " ." }' \
		"$tmp/other/trace/rank-$rank.tsv" >"$tmp/did"
	for seen in "$tmp"/ranges.*; do
		! cmp -s "$tmp/did" "$seen" || continue 2
	done
	fail "nobody's ranges are the actions of rank $rank"
done

# Ranks of a host take its cards in turn.
FAKE_CUDA_DEVICES=2
FAKE_CUDA_BROKEN=1
export FAKE_CUDA_DEVICES FAKE_CUDA_BROKEN
train card0 --set device="$fake" --set pipeline.ranks=1 ||
	fail 'rank 0 does not use card 0'
! train card1 --set device="$fake" || fail 'rank 1 does not use card 1'
grep -q 'cudaSetDevice' "$tmp/err" && grep -q 'rank 1 .*gone' "$tmp/err" ||
	fail 'something else than the card of rank 1 has failed'
train card0 --set device="$fake" --set device.card=0 ||
	fail 'rank 1 does not use the card that was asked for'
