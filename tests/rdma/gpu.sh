# gpt2 on the cuda device over verbs, both over stand-ins: the adapter reaches the
# GPU's memory by dmabuf, else by peer memory, else what it carries is staged; the
# header says which, and the bits are those of shm.
. "$srcdir/tests/e2e/lib.sh"
gpu=$PWD/tests/cuda/.libs/pipefw-cuda-device.so
verbs=$PWD/tests/rdma/.libs/pipefw-verbs-transport.so
FAKE_CUDA_DELAY=100
export FAKE_CUDA_DELAY

# run NAME [OPTION]...: as train(), with the header.
run() {
	name=$1
	shift
	pipefw run "$tmp/tiny.cfg" --json --overwrite --out "$tmp/$name" \
		--set device="$gpu" "$@" >"$tmp/out" 2>"$tmp/err"
}

numbers() {
	sed -n 's/.*\("loss"\|"grad_norm"\|"norm"\): *\([^,}]*\).*/\1 \2/p' "$tmp/out"
}

# same HEADER [OPTION]...: over verbs as over shm.
same() {
	header=$1
	shift
	run verbs --set transport="$verbs" --set pipeline.ranks_per_process=2 "$@" ||
		fail "$header, $*: failed"
	grep -q "^  verbs .*; GPU memory by $header\$" "$tmp/err" ||
		fail "not: GPU memory by $header"
	numbers | cmp - "$tmp/want" || fail "$header, $*: other numbers"
	cmp "$tmp/verbs/model/model.safetensors" "$tmp/shm/model/model.safetensors" ||
		fail "$header, $*: another model"
}

run shm || fail 'no run over shm'
numbers >"$tmp/want"
[ -s "$tmp/want" ] || fail 'no losses'
for schedule in gpipe 1f1b zb-h1; do
	same dmabuf --set pipeline.schedule=$schedule
done
same dmabuf --set pipeline.schedule=interleaved --set pipeline.chunks=3
same dmabuf --set pipeline.ranks=4 --set pipeline.ranks_per_process=4
FAKE_VERBS=no_dmabuf same 'peer memory'
FAKE_VERBS=no_dmabuf,no_peer same \
	'staging: dmabuf: Operation not supported, peer memory: Bad address'

# A filter that looks at the bytes wants them where it can.
run checksum --set transport.name="$verbs" --set transport.filters.0.name=checksum \
	--set pipeline.ranks_per_process=2 || fail 'no run with a checksum'
grep -q '^  verbs .*; host memory$' "$tmp/err" || fail 'a checksum of a GPU'

# The card is asked whether what came is there.
status=0
FAKE_CUDA_FAIL=cudaDeviceFlushGPUDirectRDMAWrites:20:999 run verbs \
	--set transport="$verbs" --set pipeline.ranks_per_process=2 || status=$?
[ $status != 0 ] && grep -q cudaDeviceFlushGPUDirectRDMAWrites "$tmp/err" ||
	fail 'nobody asks whether what came is there'
