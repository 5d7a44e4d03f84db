/*
 * GEMM on tiles.
 *
 * A chunk of A is packed to stay in the second-level cache; the columns of B
 * pass by it once, block by block.  Weights come packed (once per optimizer
 * step); what is not a weight is packed here.  (Going over k in passes that
 * keep a part of B in the first-level cache was tried, and changed nothing.)
 *
 * Sums over k are in the order of k; of the sizes here only K_PART touches the
 * rounding, and only of products with a longer k.
 */
#include "amx/tiles.h"

#define K_PART 4096                    /* k packed at a time */
#define A_CHUNK ((size_t)512 * 1024)   /* elements of A packed at a time */
#define B_CHUNK ((size_t)1024 * 1024)
#define M_CHUNK 512                    /* most rows of C at a time */

struct scratch {
	bf16 a[A_CHUNK];
	bf16 b[B_CHUNK];
	float sums[BLOCK * BLOCK];
};

/* One part of k of a product, and the rows of A now packed. */
struct part {
	const struct pfw_gemm *g;
	struct scratch *w;
	size_t k0, k, m0, m;
	uint32_t steps; /* for amx_finish */
};

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* As many rows or columns as fit, in whole blocks. */
static size_t chunk(size_t elements, size_t k)
{
	return elements / (blocks(k) * BLOCK) / BLOCK * BLOCK;
}

/* The packed rows by one block of columns from @p col, packed at @p b. */
static void columns(const struct part *p, const bf16 *b, size_t col)
{
	const size_t kt = blocks(p->k);

	for (size_t i = 0; i < blocks(p->m); i++) {
		struct amx_place at = {
			.row = p->m0 + i * BLOCK, .col = col,
			.rows = least(BLOCK, p->m - i * BLOCK),
			.cols = least(BLOCK, p->g->n - col),
		};

		tiles_multiply(p->w->a + i * kt * STEP, b, kt, p->w->sums, 1);
		amx_finish(p->g, &at, p->steps, p->w->sums);
	}
}

static void pack_a(const struct part *p)
{
	const struct pfw_gemm *g = p->g;
	const int across = g->kind == PFW_GEMM_TN;
	const size_t ld = across ? g->m : g->k;
	struct amx_source s = {
		.x = (const float *)g->a + (across ? p->k0 * ld + p->m0
						   : p->m0 * ld + p->k0),
		.ld = ld, .n = p->m, .k = p->k, .k_contiguous = !across,
	};

	amx_pack_a(p->w->a, &s);
}

static void pack_b(const struct part *p, size_t col, size_t n)
{
	const struct pfw_gemm *g = p->g;
	const int along = g->kind == PFW_GEMM_NT;
	const size_t ld = along ? g->k : g->n;
	struct amx_source s = {
		.x = (const float *)g->b + (along ? col * ld + p->k0
						  : p->k0 * ld + col),
		.ld = ld, .n = n, .k = p->k, .k_contiguous = along,
	};

	amx_pack_b(p->w->b, &s);
}

/* All rows of C by columns [col, col + n), packed at @p b, one block's
 * @p stride elements after the other's. */
static void all_rows(struct part *p, const bf16 *b, size_t stride, size_t col,
		     size_t n)
{
	const size_t most = least(M_CHUNK, chunk(A_CHUNK, p->k));

	for (p->m0 = 0; p->m0 < p->g->m; p->m0 += most) {
		p->m = least(most, p->g->m - p->m0);
		pack_a(p);
		for (size_t j = 0; j < n; j += BLOCK)
			columns(p, b + j / BLOCK * stride, col + j);
	}
}

/* One part of k. */
static void all_columns(struct part *p)
{
	const struct pfw_gemm *g = p->g;
	const size_t most = chunk(B_CHUNK, p->k);

	if (g->b_packed) {
		all_rows(p, (const bf16 *)g->b_packed + p->k0 / BLOCK * STEP,
			 blocks(g->k) * STEP, 0, g->n);
		return;
	}
	for (size_t col = 0; col < g->n; col += most) {
		size_t n = least(most, g->n - col);

		pack_b(p, col, n);
		all_rows(p, p->w->b, blocks(p->k) * STEP, col, n);
	}
}

/* A long k whose parts cannot meet in C, because the epilogue needs C as it
 * was: block by block, packing A again for each. */
static void block_by_block(struct part *p)
{
	const struct pfw_gemm *g = p->g;
	const size_t stride = blocks(g->k) * STEP;
	float *sums = p->w->sums;

	p->steps = g->epilogue;
	for (p->m0 = 0; p->m0 < g->m; p->m0 += BLOCK)
		for (size_t col = 0; col < g->n; col += BLOCK) {
			struct amx_place at = {
				.row = p->m0, .col = col,
				.rows = least(BLOCK, g->m - p->m0),
				.cols = least(BLOCK, g->n - col),
			};
			const bf16 *packed = g->b_packed;

			p->m = at.rows;
			for (p->k0 = 0; p->k0 < g->k; p->k0 += K_PART) {
				const bf16 *b = p->w->b;

				p->k = least(K_PART, g->k - p->k0);
				pack_a(p);
				if (packed)
					b = packed + col / BLOCK * stride +
					    p->k0 / BLOCK * STEP;
				else
					pack_b(p, col, at.cols);
				tiles_multiply(p->w->a, b, blocks(p->k), sums,
					       !p->k0);
			}
			amx_finish(g, &at, p->steps, sums);
		}
}

static void run(struct part *p)
{
	const uint32_t bent = PFW_EPI_GELU | PFW_EPI_DGELU;
	const struct pfw_gemm *g = p->g;
	uint32_t uses_c = g->epilogue & PFW_EPI_ACCUMULATE;

	if ((g->epilogue & PFW_EPI_RESIDUAL) && g->residual == g->c)
		uses_c |= PFW_EPI_RESIDUAL;
	if (g->k > K_PART && uses_c &&
	    ((g->epilogue & bent) || (uses_c & (uses_c - 1)))) {
		block_by_block(p);
		return;
	}
	for (p->k0 = 0; p->k0 < g->k; p->k0 += K_PART) {
		p->k = least(K_PART, g->k - p->k0);
		p->steps = g->epilogue;
		if (g->k > K_PART) { /* parts are added up in C */
			p->steps = p->k0 || uses_c ? AMX_ADD_TO : 0;
			if (p->k0 + p->k == g->k)
				p->steps |= g->epilogue & ~uses_c;
		}
		all_columns(p);
	}
}

void amx_gemm(void *queue, const struct pfw_gemm *g)
{
	const struct cpu_queue *q = queue;
	struct part p = { .g = g, .w = (struct scratch *)q->scratch };

	_Static_assert(sizeof(struct scratch) <= CPU_SCRATCH * sizeof(float),
		       "scratch");
	tiles_configure();
	run(&p);
	_tile_release();
}

size_t amx_pack_bytes(void *queue, uint32_t kind, uint32_t rows, uint32_t cols)
{
	(void)queue;
	if (kind == PFW_GEMM_TN)
		return 0;
	return blocks(rows) * blocks(cols) * STEP * sizeof(bf16);
}

void amx_pack(void *queue, uint32_t kind, uint32_t rows, uint32_t cols,
	      const float *weight, void *packed)
{
	const int along = kind == PFW_GEMM_NT;
	struct amx_source s = { .x = weight, .ld = cols,
				.n = along ? rows : cols,
				.k = along ? cols : rows,
				.k_contiguous = along };

	(void)queue;
	amx_pack_b(packed, &s);
}
