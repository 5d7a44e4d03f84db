# nccl holds what transport.h promises.
. "$srcdir/tests/nccl/lib.sh"
[ ! "${PIPEFW_TSAN-}" ] || {
	echo 'skipped: TSan follows no threads in forked processes'
	exit 77
}
pipefw conform transport:nccl >"$tmp/out" 2>&1 || fail 'nccl does not hold'
if grep -i skip "$tmp/out"; then fail 'a check was left out'; fi

gpu=$PWD/tests/cuda/.libs/pipefw-cuda-device.so
[ ! -e "$gpu" ] || {
	says 0 '"work":"half round trip 64 KiB","unit":"GB/s".*"ours":[0-9]' \
		pipefw bench transport nccl --device "$gpu" --quick --rounds 1 --json
	says 0 '"work":"products beside' \
		pipefw bench transport nccl --device "$gpu" --quick --rounds 1 --json
	FAKE_NCCL_FAIL=async:40:2 says 0 '"skip".*"nccl","why":".*unhandled system' \
		pipefw bench transport nccl --device "$gpu" --quick --json
}
