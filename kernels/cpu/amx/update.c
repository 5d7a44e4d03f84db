/* AdamW and both packed forms in one pass over a weight: a block of its rows is
 * packed from the second-level cache, right after it was updated. */
#include "amx/amx.h"
#include "isa/isa.h"

struct update {
	const struct pfw_adamw *a;
	struct amx_source weight;
	bf16 *nt, *nn;
};

static void update_rows(const void *context, size_t first, size_t end,
			float *scratch)
{
	const struct update *u = context;
	const struct amx_source *w = &u->weight;

	(void)scratch;
	for (size_t row = first * BLOCK; row < end * BLOCK; row += BLOCK) {
		size_t next = row + BLOCK < w->n ? row + BLOCK : w->n;

		ISA(adamw_some)(u->a, row * w->ld, next * w->ld);
		amx_pack_rows(u->nt, u->nn, w, row);
	}
}

void amx_adamw_packed(void *queue, const struct pfw_adamw *a, uint32_t rows,
		      uint32_t cols, void *const packed[2])
{
	const struct update u = {
		a,
		{ .weight = a->weight, .ld = cols, .n = rows, .k = cols,
		  .k_contiguous = 1 },
		packed[PFW_GEMM_NT], packed[PFW_GEMM_NN],
	};

	if (!*a->skip)
		cpu_each(queue, blocks(rows), 1, update_rows, &u);
}
