# nccl holds what transport.h promises.
. "$srcdir/tests/nccl/lib.sh"
[ ! "${PIPEFW_TSAN-}" ] || {
	echo 'skipped: TSan follows no threads in forked processes'
	exit 77
}
pipefw conform transport:nccl >"$tmp/out" 2>&1 || fail 'nccl does not hold'
if grep -i skip "$tmp/out"; then fail 'a check was left out'; fi
