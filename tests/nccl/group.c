/*
 * group RANKS: as many members as threads, each with a transport: what the
 * collectives of nccl give, and that they end.  Over the stand-ins with 1 to 4, and
 * with 1 on any GPU with NCCL itself (tests/gpu/run).
 */
#include <pipefw/device.h>
#include <pipefw/transport.h>

#include <cuda_runtime_api.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "settings/config.h"

#define N 1024u /* numbers of a part */
#define MOST 8u

extern const struct pfw_plugin pfw_plugin;

/* Queues are streams. */
static void *native(void *queue)
{
	return queue;
}

static const struct pfw_device_ops device = { .size = sizeof(device),
					      .native = native };

struct member {
	uint32_t n, index;
	pthread_t thread;
	struct pfw_group_id *id;
	pthread_barrier_t *all;
	struct pfw_error err;
	int rc;
};

static void nap(void)
{
	const struct timespec t = { .tv_nsec = 100000 };

	nanosleep(&t, NULL);
}

static int wrong(struct member *m, const char *what)
{
	return pfw_error_set(&m->err, EBADMSG, "%s gives something else", what);
}

static int settle(struct member *m, const struct pfw_collective_ops *ops,
		  void *group, cudaStream_t s, float *out, const float *from,
		  size_t n)
{
	int rc;

	while ((rc = ops->test(group, &m->err)) == -EAGAIN)
		nap();
	if (!rc && cudaMemcpyAsync(out, from, n * sizeof(*out),
				   cudaMemcpyDeviceToHost, s))
		rc = pfw_error_set(&m->err, EIO, "no copy");
	if (!rc && cudaStreamSynchronize(s))
		rc = pfw_error_set(&m->err, EIO, "the stream failed");
	return rc;
}

/* Member r has r + 1, r + 2, ... */
static int collectives(struct member *m, const struct pfw_collective_ops *ops,
		       void *group, cudaStream_t s)
{
	static _Thread_local float host[MOST * N];
	size_t bytes = MOST * N * sizeof(float);
	float *in, *out, sum = 0;
	int rc;

	for (uint32_t i = 0; i < m->n * N; i++)
		host[i] = (float)(m->index + 1 + i);
	for (uint32_t r = 0; r < m->n; r++)
		sum += (float)(r + 1);
	if (cudaMalloc((void **)&in, bytes) || cudaMalloc((void **)&out, bytes) ||
	    cudaMemcpyAsync(in, host, bytes, cudaMemcpyHostToDevice, s) ||
	    cudaStreamSynchronize(s))
		return pfw_error_set(&m->err, EIO, "no memory of the GPU");
	rc = ops->all_gather(group, s, in, out, N * sizeof(float), &m->err);
	if (!rc)
		rc = settle(m, ops, group, s, host, out, (size_t)m->n * N);
	for (uint32_t i = 0; !rc && i < m->n * N; i++)
		if (host[i] != (float)(i / N + 1 + i % N))
			rc = wrong(m, "all_gather");
	if (!rc)
		rc = ops->reduce_scatter(group, s, in, out, N, &m->err);
	if (!rc)
		rc = settle(m, ops, group, s, host, out, N);
	for (uint32_t i = 0; !rc && i < N; i++)
		if (host[i] != sum + (float)(m->n * (m->index * N + i)))
			rc = wrong(m, "reduce_scatter");
	if (!rc)
		rc = ops->all_reduce(group, s, in, N, &m->err);
	if (!rc)
		rc = settle(m, ops, group, s, host, in, N);
	for (uint32_t i = 0; !rc && i < N; i++)
		if (host[i] != sum + (float)(m->n * i))
			rc = wrong(m, "all_reduce");
	cudaFree(in);
	cudaFree(out);
	return rc;
}

static int in_group(struct member *m, void *transport)
{
	const struct pfw_transport_ops *ops = pfw_plugin.ops;
	struct pfw_group_info info = { .size = sizeof(info), .n = m->n,
				       .index = m->index, .id = *m->id,
				       .device_ops = &device };
	void *group = NULL;
	cudaStream_t s;
	int rc;

	if (cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking))
		return pfw_error_set(&m->err, EIO, "no stream");
	while ((rc = ops->collectives->open_group(transport, &info, &group,
						  &m->err)) == -EAGAIN)
		nap();
	if (!rc)
		rc = collectives(m, ops->collectives, group, s);
	ops->collectives->close_group(group);
	cudaStreamDestroy(s);
	return rc;
}

static void *member_main(void *arg)
{
	const struct pfw_transport_ops *ops = pfw_plugin.ops;
	struct pfw_transport_info info = { .size = sizeof(info), .job = 3,
					   .host = "here" };
	struct member *m = arg;
	struct pfw_address self;
	struct pfw_values *opt;
	void *transport = NULL;

	info.rank = m->index;
	info.ranks = m->n;
	m->rc = pfw_values_from_texts(pfw_plugin.options, pfw_plugin.n_options,
				      "nccl", NULL, 0, &opt, &m->err);
	if (!m->rc)
		m->rc = ops->open(opt, &info, NULL, &transport, &self, &m->err);
	if (!m->rc && !m->index)
		m->rc = ops->collectives->make_id(transport, m->id, &m->err);
	pthread_barrier_wait(m->all);
	if (!m->rc)
		m->rc = in_group(m, transport);
	ops->close(transport);
	pfw_values_free(opt);
	return NULL;
}

int main(int argc, char **argv)
{
	uint32_t n = argc > 1 ? (uint32_t)atoi(argv[1]) : 0;
	struct member members[MOST] = { 0 };
	struct pfw_group_id id = { { 0 } };
	pthread_barrier_t all;

	if (n < 1 || n > MOST)
		return 99;
	pthread_barrier_init(&all, NULL, n);
	for (uint32_t i = 0; i < n; i++) {
		members[i].n = n;
		members[i].index = i;
		members[i].id = &id;
		members[i].all = &all;
		pthread_create(&members[i].thread, NULL, member_main,
			       &members[i]);
	}
	for (uint32_t i = 0; i < n; i++)
		pthread_join(members[i].thread, NULL);
	for (uint32_t i = 0; i < n; i++)
		if (members[i].rc) {
			puts(members[i].err.text);
			return 1;
		}
	puts("all_gather, reduce_scatter and all_reduce are right");
	return 0;
}
