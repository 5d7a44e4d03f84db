# Training with cuDNN's attention, over a stand-in that does what its graphs say,
# gives the losses of our own kernels; and what it refuses is told, or done without.
. "$srcdir/tests/e2e/lib.sh"
fake=$PWD/tests/cuda/.libs/pipefw-cuda-device.so
dnn=$PWD/tests/cuda/.libs/libfakecudnn.so
[ -e "$fake" ] || { echo 'skipped: no CUDA toolkit'; exit 77; }
nm -D "$dnn" | grep -q cudnnCreate || { echo 'skipped: no cudnn.h'; exit 77; }
ln -s "$dnn" "$tmp/libcudnn.so.9"
LD_LIBRARY_PATH=$tmp${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
FAKE_CUDA_DELAY=100
export LD_LIBRARY_PATH FAKE_CUDA_DELAY

losses() { sed -n 's/.*"loss":\([0-9.]*\),.*/\1/p' "$1"; }

# attend HOW OPTION...: train, in bf16.
attend() {
	how=$1
	shift
	train other --set device="$fake" --set device.dtype=bf16 \
		--set pipeline.ranks=1 --set device.attention="$how" "$@" ||
		return
	losses "$tmp/out" >"$tmp/losses"
}

attend own || fail 'own attention: failed'
mv "$tmp/losses" "$tmp/own"
attend cudnn || fail 'cuDNN: failed'
mv "$tmp/losses" "$tmp/dnn"
mv "$tmp/other/model/model.safetensors" "$tmp/model"
! cmp -s "$tmp/own" "$tmp/dnn" || fail 'cuDNN is our own attention'
paste "$tmp/own" "$tmp/dnn" | awk '
	NF != 2 || ($1 - $2) ^ 2 > (2e-4 * $1) ^ 2 {
		print "the losses differ: " $0; bad = 1
	}
	END { exit bad || !NR }' || fail 'cuDNN learns something else'

# same WHAT OPTION...: to the bit.
same() {
	what=$1
	shift
	attend cudnn "$@" || fail "$what: failed"
	cmp "$tmp/losses" "$tmp/dnn" || fail "$what: other losses"
	cmp "$tmp/other/model/model.safetensors" "$tmp/model" ||
		fail "$what: another model"
}
same 'as graphs' --set device.graphs=on
same '2 ranks' --set pipeline.ranks=2 --set pipeline.schedule=zb-h1
same '2 ranks, one process' --set pipeline.ranks=2 \
	--set pipeline.ranks_per_process=2

# refused CALL WHAT: the NTHs of a call at the start, which auto does without.
refused() {
	FAKE_CUDA_FAIL=$1
	export FAKE_CUDA_FAIL
	! attend cudnn || fail "$1: nobody notices"
	grep -q "attention = \"cudnn\": .*$2" "$tmp/err" ||
		fail "$1: nobody says so: $(cat "$tmp/err")"
	attend auto || fail "$1: auto fails: $(cat "$tmp/err")"
	cmp "$tmp/losses" "$tmp/own" || fail "$1: not our own attention"
	unset FAKE_CUDA_FAIL
}
why='cuDNN [0-9.]* has no forward attention for .*: the stand-in says no'
refused cudnnCreate:1:1 'cudnnCreate gives status'
refused cudnnBackendCreateDescriptor:1:2000 "$why"
refused cudnnBackendSetAttribute:1:2000 "$why"
refused cudnnBackendSetAttribute:300:2000 'no backward attention for .*: the stand-in'
refused cudnnBackendGetAttribute:1:2000 "$why"
refused cudnnBackendFinalize:1:2000 "$why"

# What fails in a step ends the run.
for call in cudnnSetStream cudnnBackendExecute; do
	FAKE_CUDA_FAIL=$call:1:2000
	export FAKE_CUDA_FAIL
	! attend cudnn || fail "$call: nobody notices"
	grep -q 'cudnnBackendExecute' "$tmp/err" ||
		fail "$call: nobody says so: $(cat "$tmp/err")"
	unset FAKE_CUDA_FAIL
done
