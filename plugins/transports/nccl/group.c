/* Groups of ranks, and what NCCL does for all of them at once. */
#include "nccl.h"

#include <pipefw/device.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct group {
	struct nccl_transport *t;
	struct nccl_comm comm; /* from and to: its index, as of no channel */
	const struct pfw_device_ops *device_ops;
};

static int make_id(void *transport, struct pfw_group_id *out,
		   struct pfw_error *err)
{
	const struct nccl_transport *t = transport;
	ncclUniqueId id;
	int rc = nccl_library_id(&t->lib, &id, err);

	if (!rc)
		memcpy(out->bytes, &id, sizeof(id));
	return rc;
}

static int new_group(struct nccl_transport *t, const struct pfw_group_info *info,
		     struct group **out, struct pfw_error *err)
{
	struct group *g = calloc(1, sizeof(*g));
	int rc;

	if (!g)
		return pfw_error_set(err, ENOMEM, "out of memory");
	g->t = t;
	g->device_ops = info->device_ops;
	g->comm.from = g->comm.to = info->index;
	g->comm.kind = PFW_CHANNEL_COLLECTIVE;
	memcpy(&g->comm.id, info->id.bytes, sizeof(g->comm.id));
	rc = nccl_comm_open(&g->comm, &t->lib, t->aborts, err);
	if (rc) {
		free(g);
		return rc;
	}
	/* The transport's thread watches it with the others. */
	g->comm.next = t->comms;
	t->comms = &g->comm;
	*out = g;
	return 0;
}

static int open_group(void *transport, const struct pfw_group_info *info,
		      void **group, struct pfw_error *err)
{
	struct nccl_transport *t = transport;
	struct group *g = *group;
	int rc = 0;

	if (!info->device_ops || !info->device_ops->native)
		return pfw_error_set(err, ENOTSUP, "a group is of ranks on GPUs");
	pthread_mutex_lock(&t->lock);
	if (!g)
		rc = new_group(t, info, &g, err);
	if (!rc) {
		*group = g;
		rc = nccl_comm_make(&g->comm, info->n, info->index, t->ctas, err);
	}
	pthread_mutex_unlock(&t->lock);
	return rc;
}

static void close_group(void *group)
{
	struct group *g = group;

	if (!g)
		return;
	pthread_mutex_lock(&g->t->lock);
	nccl_comm_remove(&g->t->comms, &g->comm);
	nccl_comm_close(&g->comm);
	pthread_mutex_unlock(&g->t->lock);
	free(g);
}

static int test(void *group, struct pfw_error *err)
{
	struct group *g = group;
	int rc;

	pthread_mutex_lock(&g->t->lock);
	rc = nccl_comm_answer(&g->comm, "a collective", ncclSuccess, err);
	pthread_mutex_unlock(&g->t->lock);
	return rc;
}

/* What NCCL is still at is test()'s to see. */
static int answer(struct group *g, const char *call, ncclResult_t result,
		  struct pfw_error *err)
{
	int rc = nccl_comm_answer(&g->comm, call, result, err);

	pthread_mutex_unlock(&g->t->lock);
	return rc == -EAGAIN ? 0 : rc;
}

/* Takes the lock, where the group is well. */
static int begin(struct group *g, struct pfw_error *err)
{
	int rc;

	pthread_mutex_lock(&g->t->lock);
	rc = nccl_comm_error(&g->comm, err);
	if (rc)
		pthread_mutex_unlock(&g->t->lock);
	return rc;
}

static int all_reduce(void *group, void *queue, float *data, uint64_t n,
		      struct pfw_error *err)
{
	struct group *g = group;
	int rc = begin(g, err);

	return rc ? rc : answer(g, "ncclAllReduce",
				g->t->lib.all_reduce(
					data, data, n, ncclFloat32, ncclSum,
					g->comm.comm,
					g->device_ops->native(queue)), err);
}

static int reduce_scatter(void *group, void *queue, const float *in, float *out,
			  uint64_t n, struct pfw_error *err)
{
	struct group *g = group;
	int rc = begin(g, err);

	return rc ? rc : answer(g, "ncclReduceScatter",
				g->t->lib.reduce_scatter(
					in, out, n, ncclFloat32, ncclSum,
					g->comm.comm,
					g->device_ops->native(queue)), err);
}

static int all_gather(void *group, void *queue, const void *in, void *out,
		      uint64_t bytes, struct pfw_error *err)
{
	struct group *g = group;
	int rc = begin(g, err);

	return rc ? rc : answer(g, "ncclAllGather",
				g->t->lib.all_gather(
					in, out, bytes, ncclUint8, g->comm.comm,
					g->device_ops->native(queue)), err);
}

const struct pfw_collective_ops nccl_collectives = {
	.size = sizeof(nccl_collectives),
	.make_id = make_id,
	.open_group = open_group,
	.close_group = close_group,
	.all_reduce = all_reduce,
	.reduce_scatter = reduce_scatter,
	.all_gather = all_gather,
	.test = test,
};
