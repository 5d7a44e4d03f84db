#include "ability.h"

/* A queue pair is made with these operations, and is gone again. */
static bool takes(struct ibv_pd *pd, struct ibv_cq *cq, uint64_t operations)
{
	struct ibv_qp_init_attr_ex a = {
		.send_cq = cq,
		.recv_cq = cq,
		.cap = { .max_send_wr = 1, .max_recv_wr = 1, .max_send_sge = 1,
			 .max_recv_sge = 1 },
		.qp_type = IBV_QPT_RC,
		.comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
		.pd = pd,
		.send_ops_flags = operations,
	};
	struct ibv_qp *qp = ibv_create_qp_ex(pd->context, &a);

	return qp && !ibv_destroy_qp(qp);
}

/*
 * Not every provider takes a list of operations.  Only one that takes WRITE and
 * SEND, and not with WRITE_WITH_IMM in it, has said something.
 */
static bool ask(struct ibv_pd *pd, struct ibv_cq *cq)
{
	const uint64_t without = IBV_QP_EX_WITH_RDMA_WRITE | IBV_QP_EX_WITH_SEND;

	return takes(pd, cq, without | IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM) ||
	       !takes(pd, cq, without);
}

bool verbs_has_immediate(struct ibv_context *context)
{
	struct ibv_pd *pd = ibv_alloc_pd(context);
	struct ibv_cq *cq = pd ? ibv_create_cq(context, 2, NULL, NULL, 0) : NULL;
	bool has = !cq || ask(pd, cq);

	if (cq)
		ibv_destroy_cq(cq);
	if (pd)
		ibv_dealloc_pd(pd);
	return has;
}
