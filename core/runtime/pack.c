/* Weights in the form that the device's matrix products want them in. */
#include <errno.h>
#include <stdlib.h>

#include "runtime/rank.h"

uint32_t pfw_param_matrix(const struct pfw_param *use, uint32_t *cols)
{
	*cols = 0;
	if (!(use->flags & PFW_PARAM_MATRIX) || use->n_dims != 2)
		return 0;
	*cols = (uint32_t)use->dims[1];
	return (uint32_t)use->dims[0];
}

int pfw_rank_open_packed(struct pfw_rank *rank, const struct pfw_param *use,
			 struct pfw_rank_param *p, struct pfw_error *err)
{
	const struct pfw_kernels *k = rank->device.kernels;
	uint32_t cols, rows = pfw_param_matrix(use, &cols);
	int rc = 0;

	if (!rows || !k->pack_bytes)
		return 0;
	for (uint32_t kind = PFW_GEMM_NT; !rc && kind <= PFW_GEMM_NN; kind++) {
		size_t bytes = k->pack_bytes(rank->queue, kind, rows, cols);

		if (bytes && !p->packed[kind])
			rc = pfw_rank_alloc(rank, bytes, &p->packed[kind], err);
	}
	return rc;
}

void pfw_rank_pack(struct pfw_rank *rank)
{
	for (uint32_t i = 0; i < rank->n_params; i++) {
		struct pfw_rank_param *p = &rank->params[i];
		const uint64_t *dims =
			rank->job->model->params[p->param].info.dims;

		for (uint32_t kind = PFW_GEMM_NT; kind <= PFW_GEMM_NN; kind++)
			if (p->packed[kind])
				rank->device.kernels->pack(rank->queue, kind,
							   (uint32_t)dims[0],
							   (uint32_t)dims[1],
							   p->weight,
							   p->packed[kind]);
	}
}
