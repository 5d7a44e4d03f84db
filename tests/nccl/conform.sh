# nccl holds what transport.h promises.
. "$srcdir/tests/nccl/lib.sh"
pipefw conform transport:nccl >"$tmp/out" 2>&1 || fail 'nccl does not hold'
if grep -i skip "$tmp/out"; then fail 'a check was left out'; fi
