# Training on the cuda device over the stand-in, whose streams are late at random,
# gives the losses that the cpu gives.
. "$srcdir/tests/e2e/lib.sh"
fake=$PWD/tests/cuda/.libs/pipefw-cuda-device.so
[ -e "$fake" ] || { echo 'skipped: no CUDA toolkit'; exit 77; }
FAKE_CUDA_DELAY=100
export FAKE_CUDA_DELAY

# losses FILE: those of steps and of evaluations.
losses() { sed -n 's/.*"loss":\([0-9.]*\),.*/\1/p' "$1"; }

# near A B: numbers that differ by less than a part in a million.
near() {
	paste "$1" "$2" | awk 'NF != 2 || ($1 - $2) ^ 2 > 1e-12 * $1 * $1 {
		print "the losses differ: " $0; bad = 1 } END { exit bad || !NR }'
}

train cpu --set pipeline.ranks=1 || fail 'no loss of the cpu'
losses "$tmp/out" >"$tmp/cpu.losses"
train cuda --set pipeline.ranks=1 --set device="$fake" || fail 'no loss of cuda'
losses "$tmp/out" >"$tmp/cuda.losses"
near "$tmp/cpu.losses" "$tmp/cuda.losses" || fail 'cuda learns something else'
pipefw generate "$tmp/cuda" --tokens 4 >"$tmp/out" 2>"$tmp/err" ||
	fail 'what was saved from the device does not generate'
