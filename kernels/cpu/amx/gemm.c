/*
 * GEMM on tiles.
 *
 * A thread packs a chunk of its rows of A to stay in its second-level cache; the
 * columns of B pass by it once, block by block.  Weights come packed (once per
 * optimizer step); what is not a weight is packed here, once for all threads.
 * (Going over k in passes that keep a part of B in the first-level cache was
 * tried, and changed nothing.)
 *
 * Sums over k are in the order of k; of the sizes here only K_PART touches the
 * rounding, and only of products with a longer k.
 */
#include "amx/tiles.h"

#define K_PART 4096                    /* k packed at a time */
#define A_CHUNK ((size_t)512 * 1024)   /* elements of A packed at a time */
#define B_CHUNK ((size_t)1024 * 1024)
#define M_CHUNK 512                    /* most rows of C at a time */

/* Of all threads. */
struct shared {
	bf16 b[B_CHUNK];
};

/* A thread's own. */
struct own {
	float sums[BLOCK * BLOCK];
	bf16 a[A_CHUNK];
	bf16 b[K_PART * BLOCK]; /* for block_by_block() */
};

/* One part of k of a product, and how C is parted. */
struct part {
	void *queue;
	const struct pfw_gemm *g;
	size_t k0, k;
	uint32_t steps; /* for amx_finish */
	/* Columns of C that are worked on, and B for them, packed: */
	size_t col, n;
	const bf16 *b;
	size_t stride;           /* elements from one block to the next */
	size_t rows, cols, wide; /* blocks of one piece; pieces side by side */
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

static struct amx_source source_a(const struct part *p, size_t row, size_t n)
{
	const struct pfw_gemm *g = p->g;
	const int across = g->kind == PFW_GEMM_TN;
	const size_t ld = across ? g->m : g->k;

	return (struct amx_source){
		.x = (const bf16 *)g->a + (across ? p->k0 * ld + row
						   : row * ld + p->k0),
		.ld = ld, .n = n, .k = p->k, .k_contiguous = !across,
	};
}

static struct amx_source source_b(const struct part *p, size_t col, size_t n)
{
	const struct pfw_gemm *g = p->g;
	const int along = g->kind == PFW_GEMM_NT;
	const size_t ld = along ? g->k : g->n;

	return (struct amx_source){
		.x = (const bf16 *)g->b + (along ? col * ld + p->k0
						  : p->k0 * ld + col),
		.ld = ld, .n = n, .k = p->k, .k_contiguous = along,
	};
}

/* @p m packed rows from @p row on by block @p j of the columns. */
static void column(const struct part *p, size_t row, size_t m, size_t j,
		   struct own *own)
{
	const size_t kt = blocks(p->k);
	const bf16 *b = p->b + j * p->stride;
	struct amx_place at = { .col = p->col + j * BLOCK };

	at.cols = least(BLOCK, p->g->n - at.col);
	for (size_t i = 0; i < m; i += BLOCK) {
		at.row = row + i;
		at.rows = least(BLOCK, m - i);
		tiles_multiply(own->a + i / BLOCK * kt * STEP, b, kt, own->sums,
			       1);
		amx_finish(p->g, &at, p->steps, own->sums);
	}
}

/* Rows [row, end) by blocks [left, right) of the columns. */
static void piece(const struct part *p, size_t row, size_t end, size_t left,
		  size_t right, struct own *own)
{
	const size_t most = least(M_CHUNK, chunk(A_CHUNK, p->k));

	for (; row < end; row += most) {
		size_t m = least(most, end - row);
		struct amx_source s = source_a(p, row, m);

		amx_pack_a(own->a, &s);
		for (size_t j = left; j < right; j++)
			column(p, row, m, j, own);
	}
}

static void some_pieces(const void *context, size_t first, size_t end,
			float *scratch)
{
	const struct part *p = context;

	tiles_configure();
	for (size_t i = first; i < end; i++) {
		size_t row = i / p->wide * p->rows * BLOCK;
		size_t col = i % p->wide * p->cols;

		piece(p, row, least(p->g->m, row + p->rows * BLOCK), col,
		      least(blocks(p->n), col + p->cols),
		      (struct own *)scratch);
	}
	_tile_release();
}

/* Two pieces for each thread, of rows where there are enough of them: the rows
 * of A are packed once then. */
static void all_rows(struct part *p)
{
	const size_t high = blocks(p->g->m), wide = blocks(p->n);
	size_t pieces = 2 * cpu_threads(p->queue), rows, cols;

	if (pieces == 2)
		pieces = 1;
	rows = least(high, pieces);
	cols = least(wide, (pieces + rows - 1) / rows);
	p->rows = (high + rows - 1) / rows;
	p->cols = (wide + cols - 1) / cols;
	p->wide = (wide + p->cols - 1) / p->cols;
	cpu_each(p->queue, (high + p->rows - 1) / p->rows * p->wide, 1,
		 some_pieces, p);
}

/* One part of k. */
static void all_columns(struct part *p)
{
	const struct pfw_gemm *g = p->g;
	const size_t most = chunk(B_CHUNK, p->k);
	bf16 *packed = ((struct shared *)
			((struct cpu_queue *)p->queue)->shared)->b;

	if (g->b_packed) {
		p->b = (const bf16 *)g->b_packed + p->k0 / BLOCK * STEP;
		p->stride = blocks(g->k) * STEP;
		p->n = g->n;
		all_rows(p);
		return;
	}
	p->b = packed;
	p->stride = blocks(p->k) * STEP;
	for (p->col = 0; p->col < g->n; p->col += most) {
		struct amx_source s;

		p->n = least(most, g->n - p->col);
		s = source_b(p, p->col, p->n);
		amx_pack_all(p->queue, packed, &s, amx_pack_b);
		all_rows(p);
	}
}

/* One block of C over all parts of k, which are packed for it alone. */
static void one_block(const struct part *whole, size_t row, size_t col,
		      struct own *own)
{
	const struct pfw_gemm *g = whole->g;
	const struct amx_place at = {
		.row = row, .col = col, .rows = least(BLOCK, g->m - row),
		.cols = least(BLOCK, g->n - col),
	};
	struct part p = *whole;

	for (p.k0 = 0; p.k0 < g->k; p.k0 += K_PART) {
		const bf16 *b = own->b;
		struct amx_source s;

		p.k = least(K_PART, g->k - p.k0);
		s = source_a(&p, row, at.rows);
		amx_pack_a(own->a, &s);
		if (g->b_packed) {
			b = (const bf16 *)g->b_packed +
			    (col / BLOCK * blocks(g->k) + p.k0 / BLOCK) * STEP;
		} else {
			s = source_b(&p, col, at.cols);
			amx_pack_b(own->b, &s);
		}
		tiles_multiply(own->a, b, blocks(p.k), own->sums, !p.k0);
	}
	amx_finish(g, &at, g->epilogue, own->sums);
}

/* A long k whose parts cannot meet in C, because the epilogue needs C as it
 * was, or because it is bf16. */
static void block_by_block(const void *context, size_t first, size_t end,
			   float *scratch)
{
	const struct part *p = context;
	const size_t wide = blocks(p->g->n);

	tiles_configure();
	for (size_t i = first; i < end; i++)
		one_block(p, i / wide * BLOCK, i % wide * BLOCK,
			  (struct own *)scratch);
	_tile_release();
}

static void run(struct part *p)
{
	const uint32_t bent = PFW_EPI_GELU | PFW_EPI_DGELU;
	const struct pfw_gemm *g = p->g;
	uint32_t uses_c = g->epilogue & PFW_EPI_ACCUMULATE;

	if ((g->epilogue & PFW_EPI_RESIDUAL) && g->residual == g->c)
		uses_c |= PFW_EPI_RESIDUAL;
	if (g->k > K_PART &&
	    (g->c_dtype != PFW_F32 ||
	     (uses_c && ((g->epilogue & bent) || (uses_c & (uses_c - 1)))))) {
		cpu_each(p->queue, blocks(g->m) * blocks(g->n), 1,
			 block_by_block, p);
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
	struct part p = { .queue = queue, .g = g };

	_Static_assert(sizeof(struct shared) <= CPU_SCRATCH * sizeof(float) &&
		       sizeof(struct own) <= CPU_SCRATCH * sizeof(float),
		       "scratch");
	run(&p);
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
	struct amx_source s = { .weight = weight, .ld = cols,
				.n = along ? rows : cols,
				.k = along ? cols : rows,
				.k_contiguous = along };

	amx_pack_all(queue, packed, &s, amx_pack_b);
}
