#include "comm.h"

#include <errno.h>
#include <stdio.h>

int nccl_comm_open(struct nccl_comm *c, const struct nccl_library *lib,
		   struct nccl_aborts *aborts, struct pfw_error *err)
{
	int least, greatest;
	cudaError_t e = cudaDeviceGetStreamPriorityRange(&least, &greatest);

	c->lib = lib;
	c->aborts = aborts;
	c->last = &c->first;
	/* Before kernels that wait for a free multiprocessor. */
	if (!e)
		e = cudaStreamCreateWithPriority(&c->stream,
						 cudaStreamNonBlocking, greatest);
	if (e)
		return pfw_error_set(err, EIO, "no CUDA stream for NCCL: %s",
				     cudaGetErrorString(e));
	return 0;
}

void nccl_comm_close(struct nccl_comm *c)
{
	if (c->comm)
		nccl_abort(c->aborts, c->lib, c->comm, c->stream);
	else if (c->stream)
		cudaStreamDestroy(c->stream);
	c->comm = NULL;
	c->stream = NULL;
	c->ready = false;
}

void nccl_comm_remove(struct nccl_comm **list, const struct nccl_comm *c)
{
	while (*list != c)
		list = &(*list)->next;
	*list = c->next;
}

void nccl_comm_fail(struct nccl_comm *c, int code, const char *what)
{
	if (c->failed.code)
		return;
	pfw_error_set(&c->failed, code,
		      "NCCL %u -> %u (%s): %s; NCCL_DEBUG=INFO tells more",
		      c->from, c->to,
		      c->kind == PFW_NONE ? "all kinds" :
					    pfw_channel_kind_name(c->kind),
		      what);
	nccl_comm_close(c);
	c->changes++;
}

/* What NCCL itself says of a call, and the last thing it complained about. */
static void fail_call(struct nccl_comm *c, const char *call, ncclResult_t result)
{
	const char *last = c->comm ? c->lib->last_error(c->comm) : NULL;
	char text[512];

	snprintf(text, sizeof(text), "%s: %s%s%.300s%s", call,
		 c->lib->error_string(result), last && *last ? " (" : "",
		 last && *last ? last : "", last && *last ? ")" : "");
	nccl_comm_fail(c, result == ncclRemoteError ? EPIPE : EIO, text);
}

int nccl_comm_error(const struct nccl_comm *c, struct pfw_error *err)
{
	if (!c->failed.code)
		return 0;
	return pfw_error_set(err, c->failed.code, "%s", c->failed.text);
}

/* Is it done with what it was last asked for?  A failure is noted. */
static bool has_settled(struct nccl_comm *c, const char *call)
{
	ncclResult_t state = ncclSuccess, rc;

	rc = c->lib->async_error(c->comm, &state);
	if (rc || (state && state != ncclInProgress)) {
		fail_call(c, call, rc ? rc : state);
		return false;
	}
	return !state;
}

int nccl_comm_make(struct nccl_comm *c, uint32_t n, uint32_t index, uint32_t ctas,
		   struct pfw_error *err)
{
	ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
	ncclResult_t rc = ncclSuccess;

	if (!c->ready && !c->comm && !c->failed.code) {
		config.blocking = 0;
		config.minCTAs = 1;
		config.maxCTAs = (int)ctas;
		rc = c->lib->init(&c->comm, (int)n, c->id, (int)index,
				  &config);
		if (rc && rc != ncclInProgress)
			fail_call(c, "ncclCommInitRankConfig", rc);
	}
	if (!c->ready && !c->failed.code)
		c->ready = has_settled(c, "ncclCommInitRankConfig");
	if (c->failed.code)
		return nccl_comm_error(c, err);
	return c->ready ? 0 : -EAGAIN;
}

int nccl_comm_answer(struct nccl_comm *c, const char *call, ncclResult_t rc,
		     struct pfw_error *err)
{
	bool settled = false;

	if (rc && rc != ncclInProgress && !c->failed.code)
		fail_call(c, call, rc);
	if (!c->failed.code)
		settled = has_settled(c, call);
	if (c->failed.code)
		return nccl_comm_error(c, err);
	return settled ? 0 : -EAGAIN;
}

void nccl_comm_add(struct nccl_comm *c, struct nccl_op *op)
{
	op->state = NCCL_OP_QUEUED;
	op->next = NULL;
	*c->last = op;
	c->last = &op->next;
	nccl_comm_turn(c);
}

static void fail_cuda(struct nccl_comm *c, const char *what, cudaError_t e)
{
	char text[256];

	snprintf(text, sizeof(text), "%s: %s", what, cudaGetErrorString(e));
	nccl_comm_fail(c, EIO, text);
}

/* Hands it to NCCL, behind what it waits for. */
static void launch(struct nccl_comm *c, const struct nccl_op *op)
{
	const char *call = op->sending ? "ncclSend" : "ncclRecv";
	cudaError_t e = cudaSuccess;
	ncclResult_t rc = ncclSuccess;

	if (op->gated)
		e = cudaStreamWaitEvent(c->stream, op->gate, 0);
	if (!e && op->sending && op->host && op->bytes)
		e = cudaMemcpyAsync(op->device, op->host, op->bytes,
				    cudaMemcpyHostToDevice, c->stream);
	if (e) {
		fail_cuda(c, "before a transfer", e);
		return;
	}
	if (op->bytes && op->sending)
		rc = c->lib->send(op->device, op->bytes, ncclUint8, 1, c->comm,
				  c->stream);
	else if (op->bytes)
		rc = c->lib->recv(op->device, op->bytes, ncclUint8, 0, c->comm,
				  c->stream);
	if (rc && rc != ncclInProgress)
		fail_call(c, call, rc);
	else
		c->launching = true;
}

/* Its kernel is on the stream: what comes after it goes there too. */
static void finish(struct nccl_comm *c)
{
	struct nccl_op *op = c->first;
	cudaError_t e = cudaSuccess;

	c->launching = false;
	if (!op->sending && op->host && op->bytes)
		e = cudaMemcpyAsync(op->host, op->device, op->bytes,
				    cudaMemcpyDeviceToHost, c->stream);
	if (!e)
		e = cudaEventRecord(op->done, c->stream);
	if (e) {
		fail_cuda(c, "behind a transfer", e);
		return;
	}
	c->first = op->next;
	if (!c->first)
		c->last = &c->first;
	op->state = NCCL_OP_LAUNCHED;
	c->changes++;
}

void nccl_comm_turn(struct nccl_comm *c)
{
	while (!c->failed.code && c->first) {
		if (!c->launching)
			launch(c, c->first);
		if (c->failed.code ||
		    !has_settled(c, c->first->sending ? "ncclSend" :
							"ncclRecv"))
			return;
		finish(c);
	}
}

bool nccl_comm_is_well(struct nccl_comm *c)
{
	if (c->comm && c->ready)
		has_settled(c, "communication");
	return !c->failed.code;
}
