/* Collectives of the stand-in for libnccl: see fake_nccl.h. */
#include "nccl/fake_nccl.h"

#include <stdlib.h>
#include <string.h>

#include "nccl/fake_impl.h"

/* What all members have, in the order of ranks: by way of the first. */
static int gather(struct ncclComm *c, const struct fake_head *h, const char *mine,
		  char *all)
{
	size_t n = h->count, total = n * (size_t)c->ranks;
	struct fake_head got = *h;

	if (c->rank)
		return fake_nccl_move(c, 0, 1, &got, sizeof(got)) &&
		       fake_nccl_move(c, 0, 1, (void *)(uintptr_t)mine, n) &&
		       fake_nccl_move(c, 0, 0, all, total);
	memcpy(all, mine, n);
	for (int r = 1; r < c->ranks; r++) {
		if (!fake_nccl_move(c, r, 0, &got, sizeof(got)))
			return 0;
		if (memcmp(h, &got, sizeof(got)))
			fake_nccl_broken("the members of a group call different "
					 "things: NCCL would hang");
		if (!fake_nccl_move(c, r, 0, all + (size_t)r * n, n))
			return 0;
	}
	for (int r = 1; r < c->ranks; r++)
		if (!fake_nccl_move(c, r, 1, all, total))
			return 0;
	return 1;
}

/* head.type: what it is; head.count: bytes of `in`. */
static void collect(struct fake_op *op)
{
	struct ncclComm *c = op->comm;
	size_t n = op->head.count, ranks = (size_t)c->ranks;
	size_t part = op->head.type == 's' ? n / ranks : n;
	size_t from = op->head.type == 's' ? (size_t)c->rank * part : 0;
	char *all = calloc(ranks * n + 1, 1);
	float sum;

	if (!all || !gather(c, &op->head, op->in, all))
		goto out;
	if (op->head.type == 'g') {
		memcpy(op->data, all, ranks * n);
		goto out;
	}
	for (size_t i = 0; i < part; i += sizeof(sum)) {
		sum = 0;
		for (size_t r = 0; r < ranks; r++)
			sum += *(const float *)(all + r * n + from + i);
		memcpy(op->data + i, &sum, sizeof(sum));
	}
out:
	free(all);
}

static ncclResult_t issue(const char *call, char what, ncclComm_t c,
			  const void *in, void *out, size_t bytes,
			  cudaStream_t stream)
{
	const struct fake_op op = {
		.comm = c, .call = call, .run = collect, .in = in, .data = out,
		.head = { bytes, (uint64_t)what }, .stream = stream,
	};

	return fake_nccl_issue(&op);
}

ncclResult_t ncclAllReduce(const void *in, void *out, size_t n,
			   ncclDataType_t type, ncclRedOp_t op, ncclComm_t c,
			   cudaStream_t stream)
{
	if (type != ncclFloat32 || op != ncclSum)
		fake_nccl_broken("ncclAllReduce of type %d, operation %d", type,
				 op);
	return issue("ncclAllReduce", 'a', c, in, out, 4 * n, stream);
}

ncclResult_t ncclReduceScatter(const void *in, void *out, size_t n,
			       ncclDataType_t type, ncclRedOp_t op, ncclComm_t c,
			       cudaStream_t stream)
{
	if (type != ncclFloat32 || op != ncclSum)
		fake_nccl_broken("ncclReduceScatter of type %d, operation %d",
				 type, op);
	return issue("ncclReduceScatter", 's', c, in, out,
		     4 * n * (size_t)c->ranks, stream);
}

ncclResult_t ncclAllGather(const void *in, void *out, size_t n,
			   ncclDataType_t type, ncclComm_t c, cudaStream_t stream)
{
	if (type != ncclUint8)
		fake_nccl_broken("ncclAllGather of type %d", type);
	return issue("ncclAllGather", 'g', c, in, out, n, stream);
}
