/* Weights in the form that the device's matrix products want them in. */
#include <errno.h>
#include <stdlib.h>

#include "runtime/rank.h"

uint32_t pfw_param_matrix(const struct pfw_param *p, uint32_t *cols)
{
	*cols = 0;
	if (!(p->flags & PFW_PARAM_MATRIX) || p->n_dims != 2)
		return 0;
	*cols = (uint32_t)p->dims[1];
	return (uint32_t)p->dims[0];
}

static const struct pfw_param *info_of(const struct pfw_rank *rank,
				       const struct pfw_rank_param *p)
{
	return &rank->job->model->params[p->param].info;
}

int pfw_rank_open_packed(struct pfw_rank *rank, struct pfw_rank_param *p,
			 struct pfw_error *err)
{
	const struct pfw_kernels *k = rank->device.kernels;
	uint32_t cols, rows = pfw_param_matrix(info_of(rank, p), &cols);
	int rc = 0;

	if (!rows || !k->pack_bytes)
		return 0;
	for (uint32_t kind = PFW_GEMM_NT; !rc && kind <= PFW_GEMM_NN; kind++) {
		size_t bytes = k->pack_bytes(rank->queue, kind, rows, cols);

		if (bytes)
			rc = pfw_rank_alloc(rank, bytes, &p->packed[kind], err);
	}
	return rc;
}

void pfw_rank_pack(struct pfw_rank *rank)
{
	for (uint32_t i = 0; i < rank->n_params; i++) {
		struct pfw_rank_param *p = &rank->params[i];
		uint32_t cols, rows = pfw_param_matrix(info_of(rank, p), &cols);

		for (uint32_t kind = PFW_GEMM_NT; kind <= PFW_GEMM_NN; kind++)
			if (p->packed[kind])
				rank->device.kernels->pack(rank->queue, kind,
							   rows, cols,
							   p->weight,
							   p->packed[kind]);
	}
}
