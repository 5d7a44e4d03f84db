# shm within a host and nccl between two, which are two launchers of this machine:
# the bits of one host, on the cpu and on the cuda device; and a
# communicator that fails ends both.
. "$srcdir/tests/nccl/lib.sh"
(umask 077; head -c 32 /dev/urandom | base64 >"$tmp/secret")
PIPEFW_SECRET_FILE=$tmp/secret FAKE_CUDA_DELAY=100
export PIPEFW_SECRET_FILE FAKE_CUDA_DELAY
gpu=$PWD/tests/cuda/.libs/pipefw-cuda-device.so
# Below those that the kernel gives to who calls, and those of tests/launch.
port=$((2000 + $$ % 7900))
sed 's/^pipeline = .*/pipeline = { ranks = 4; microbatches = 4; microbatch_size = 2; };\
transport = { local = "shm"; remote = "nccl"; };/' "$tmp/tiny.cfg" >"$tmp/four.cfg"

# both NAME [OPTION]...: ranks 0 and 1 on host a, 2 and 3 on host b.
both() {
	name=$1
	port=$((port + 1))
	shift
	set -- run "$tmp/four.cfg" --boot "tcp://127.0.0.1:$port" \
		--out "$tmp/$name" "$@"
	PIPEFW_HOST_ID=b pipefw "$@" --ranks 2-3 >"$tmp/out" 2>&1 &
	PIPEFW_HOST_ID=a pipefw "$@" --ranks 0-1 --overwrite >"$tmp/err" 2>&1 ||
		fail "$name: the lead failed"
	wait $! || fail "$name: the guest failed"
}

# crossing [OPTION]...: the bits of one host.
crossing() {
	pipefw run "$tmp/four.cfg" --quiet --overwrite --out "$tmp/one" "$@" \
		>"$tmp/out" 2>"$tmp/err" || fail "$*: one host failed"
	both two "$@"
	same one two || fail "$*: other bits on two hosts"
}
crossing --set pipeline.schedule=zb-h1
[ ! -e "$gpu" ] || {
	crossing --set device="$gpu" --set pipeline.schedule=1f1b
	grep -q '^  shm  *GPU memory in place$' "$tmp/err" ||
		fail 'shm within a host does not use the memory of its card'
	crossing --set device="$gpu" --set pipeline.schedule=zbv \
		--set pipeline.chunks=2 --set model.layers=8
}

# A communicator that fails ends both, with words.
FAKE_NCCL_FAIL=async:40:2
export FAKE_NCCL_FAIL
port=$((port + 1))
set -- run "$tmp/four.cfg" --boot "tcp://127.0.0.1:$port" --out "$tmp/no" --quiet
PIPEFW_HOST_ID=b pipefw "$@" --ranks 2-3 >"$tmp/out" 2>&1 &
! PIPEFW_HOST_ID=a pipefw "$@" --ranks 0-1 >"$tmp/err" 2>&1 ||
	fail 'a communicator that fails ends no run'
! wait $! || fail 'nor that of the other host'
cat "$tmp/out" "$tmp/err" | grep -q 'NCCL [0-3] -> [0-3] .*unhandled system error' ||
	fail 'the failure is not told'

# The order of an edge's messages differs, where all that the launchers compare is the
# same: told before a first message could hang.
unset FAKE_NCCL_FAIL
port=$((port + 1))
mkdir "$tmp/a" "$tmp/b"
pipefw schedule 1f1b -p 4 -m 4 --format csv >"$tmp/a/plan.csv"
pipefw schedule gpipe -p 4 -m 4 --format csv >"$tmp/b/plan.csv"
set -- run "$tmp/four.cfg" --boot "tcp://127.0.0.1:$port" --out "$tmp/no" --quiet \
	--overwrite --set pipeline.schedule.file=plan.csv
(cd "$tmp/b" && PIPEFW_HOST_ID=b exec pipefw "$@" --ranks 2-3) >"$tmp/out" 2>&1 &
! (cd "$tmp/a" && PIPEFW_HOST_ID=a exec pipefw "$@" --ranks 0-1) >"$tmp/err" 2>&1 ||
	fail 'two programs in one run'
! wait $! || fail 'two programs in one run, says a host'
for host in out err; do
	grep -q 'rank [23] compiled another program than rank 0: the same pipefw' \
		"$tmp/$host" || fail 'a host with another program: not told'
done
