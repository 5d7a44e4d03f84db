# The collectives of nccl with one to four members, and each call failing once.
. "$srcdir/tests/nccl/lib.sh"
for n in 1 2 3 4; do
	says 0 'are right' timeout 60 tests/nccl/group $n
	FAKE_CUDA_DELAY=300 says 0 'are right' timeout 60 tests/nccl/group $n
done
for call in ncclGetUniqueId ncclCommInitRankConfig ncclCommGetAsyncError ncclAllGather \
	ncclReduceScatter ncclAllReduce async; do
	FAKE_NCCL_FAIL=$call:1:2 says 1 'unhandled system error' \
		timeout 60 tests/nccl/group 1
done
