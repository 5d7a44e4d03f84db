/*
 * GEMM on tiles.
 *
 * Tiles of A are read from where its rows lie, if k runs along them and all is in
 * whole tiles; else a thread packs a chunk of its rows, to stay in its
 * second-level cache.  So does a chunk of B, by which the rows pass block by
 * block.  While the tiles make the sums of one block, the vectors finish those of
 * the block before: either has units of its own, and waits for nobody.  Weights
 * come packed (once per optimizer step); what else is B is packed here, once for
 * all threads.
 *
 * Sums over k are in the order of k; of the sizes here only K_PART touches the
 * rounding, and only of products with a longer k.
 */
#include "amx/finish.h"
#include "amx/tiles.h"

#define K_PART 4096                    /* k packed at a time */
#define A_CHUNK ((size_t)512 * 1024)   /* elements of A packed at a time */
#define B_CHUNK ((size_t)1024 * 1024)
#define M_CHUNK 512                    /* most rows of C at a time */
#define TOGETHER 32                    /* most blocks of C of a strip */
#define B_NEAR ((size_t)256 * 1024)    /* of B that all rows pass by at once */
#define WIDE 4                         /* blocks that meet a part of one of A, ... */
#define PASS 8                         /* ... of so many steps of k */

/* Of all threads. */
struct shared {
	bf16 b[B_CHUNK];
};

/* A thread's own. */
struct own {
	float sums[TOGETHER][BLOCK * BLOCK];
	bf16 a[A_CHUNK];
	bf16 b[K_PART * BLOCK]; /* of a strip whose B is not packed */
};

struct part;

/* @p m rows of A, from @p row of C on, by blocks [left, right) of the columns. */
typedef void near_fn(const struct part *p, struct tiles_rows a, size_t row,
		     size_t m, size_t left, size_t right, struct own *own);

/* One part of k of a product, and how C is parted. */
struct part {
	void *queue;
	const struct pfw_gemm *g;
	size_t k0, k;
	uint32_t steps; /* of the epilogue */
	near_fn *near;  /* for those */
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

/* Adds @p n steps of k to a block's sums, and meanwhile finishes the block before,
 * all of it before these sums are written. */
INLINE void multiply(const struct tiles_rows *a, const bf16 *b, size_t n,
		     float *sums, int first, struct unfinished *before,
		     const uint32_t steps, const int wide)
{
	const size_t rows = (before->rows - before->row + n - 1) / n;

	tiles_begin(sums, first);
	for (size_t i = 0; i < n; i++) {
		tiles_step(a, a->x + i * a->step, b + i * STEP);
		finish_rows(before, rows, steps, wide);
	}
	tiles_end(sums);
}

/* Parts of a block of A that stay in the first-level cache while WIDE blocks of B
 * pass pay, unless all of it is small, or they do not stay: where rows are 2 KiB
 * apart, all of them share an eighth of that cache. */
static size_t passes_of(const struct tiles_rows *a, size_t kt)
{
	const int in_place = a->ld != 64, clash = !(a->ld % 2048);

	if (in_place && kt <= (clash ? 32 : 16))
		return 1;
	return (kt + PASS - 1) / PASS;
}

/* Blocks [left, right) of the columns, WIDE at most, by a block of rows. */
INLINE void some_blocks(const struct part *p, struct amx_place at,
			struct tiles_rows a, size_t left, size_t right,
			struct unfinished *before, struct own *own,
			const uint32_t steps, const int wide)
{
	const size_t kt = blocks(p->k), passes = passes_of(&a, kt);
	const size_t each = (kt + passes - 1) / passes;

	for (size_t k = 0; k < kt; k += each, a.x += each * a.step)
		for (size_t j = left; j < right; j++) {
			/* Free again before it is written: see multiply(). */
			float *sums = own->sums[passes == 1 ? 0 : j - left];

			at.col = p->col + j * BLOCK;
			at.cols = least(BLOCK, p->g->n - at.col);
			multiply(&a, p->b + j * p->stride + k * STEP,
				 least(each, kt - k), sums, !k, before, steps,
				 wide);
			if (k + each >= kt)
				*before = to_finish(p->g, &at, sums, steps,
						    wide);
		}
}

INLINE void near_blocks(const struct part *p, struct tiles_rows a, size_t row,
			size_t m, size_t left, size_t right, struct own *own,
			const uint32_t steps, const int wide)
{
	struct unfinished last = { .rows = 0 };

	for (size_t i = 0; i < m; i += BLOCK, a.x += a.block)
		for (size_t j = left; j < right; j += WIDE) {
			const struct amx_place at = {
				.row = row + i, .rows = least(BLOCK, m - i),
			};

			some_blocks(p, at, a, j, least(right, j + WIDE), &last,
				    own, steps, wide);
		}
	finish_rows(&last, BLOCK, steps, wide);
}

/* Those epilogues that a transformer has, without a question in their loops. */
#define NEAR(name, steps, wide)                                               \
	static void name(const struct part *p, struct tiles_rows a,           \
			 size_t row, size_t m, size_t left, size_t right,     \
			 struct own *own)                                     \
	{                                                                     \
		near_blocks(p, a, row, m, left, right, own, steps, wide);     \
	}

NEAR(near_plain, 0, 0)
NEAR(near_bias, PFW_EPI_BIAS, 0)
NEAR(near_gelu, PFW_EPI_BIAS | PFW_EPI_GELU, 0)
NEAR(near_residual, PFW_EPI_BIAS | PFW_EPI_RESIDUAL, 0)
NEAR(near_dgelu, PFW_EPI_DGELU, 0)
NEAR(near_wide, 0, 1)
NEAR(near_away, AMX_AWAY, 1)
NEAR(near_sum, PFW_EPI_ACCUMULATE, 1)
NEAR(near_any, p->steps, p->g->c_dtype == PFW_F32)

static near_fn *near_for(const struct part *p)
{
	static const struct {
		uint32_t steps, dtype;
		near_fn *near;
	} known[] = {
		{ 0, PFW_BF16, near_plain },
		{ PFW_EPI_BIAS, PFW_BF16, near_bias },
		{ PFW_EPI_BIAS | PFW_EPI_GELU, PFW_BF16, near_gelu },
		{ PFW_EPI_BIAS | PFW_EPI_RESIDUAL, PFW_BF16, near_residual },
		{ PFW_EPI_DGELU, PFW_BF16, near_dgelu },
		{ 0, PFW_F32, near_wide },
		{ AMX_AWAY, PFW_F32, near_away },
		{ PFW_EPI_ACCUMULATE, PFW_F32, near_sum },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].steps == p->steps &&
		    known[i].dtype == p->g->c_dtype)
			return known[i].near;
	return near_any;
}

/* @p m rows of A from @p row on: where they lie if that is in whole tiles, else
 * packed. */
static struct tiles_rows rows_of_a(const struct part *p, size_t row, size_t m,
				   struct own *own)
{
	const struct amx_source s = source_a(p, row, m);

	if (s.k_contiguous && !(m % BLOCK) && !(p->k % BLOCK))
		return (struct tiles_rows){
			.x = s.x, .ld = s.ld * sizeof(bf16),
			.lower = 16 * s.ld, .step = BLOCK,
			.block = BLOCK * s.ld,
		};
	amx_pack_a(own->a, &s);
	return (struct tiles_rows){ .x = own->a, .ld = 64, .lower = TILE,
				    .step = STEP,
				    .block = blocks(p->k) * STEP };
}

/* Rows [row, end) by blocks [left, right) of the columns. */
static void piece(const struct part *p, size_t row, size_t end, size_t left,
		  size_t right, struct own *own)
{
	const size_t most = least(M_CHUNK, chunk(A_CHUNK, p->k));
	const size_t near = chunk(B_NEAR, p->k) / BLOCK;

	for (; row < end; row += most) {
		size_t m = least(most, end - row);
		struct tiles_rows a = rows_of_a(p, row, m, own);

		for (size_t j = left; j < right; j += near)
			p->near(p, a, row, m, j, least(right, j + near), own);
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
	_mm_sfence(); /* for what went past the caches */
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

/* Block @p j of the columns, of one part of k. */
static const bf16 *part_of_b(const struct part *p, size_t j, struct own *own)
{
	const struct pfw_gemm *g = p->g;
	struct amx_source s;

	if (g->b_packed)
		return (const bf16 *)g->b_packed +
		       (j * blocks(g->k) + p->k0 / BLOCK) * STEP;
	s = source_b(p, j * BLOCK, least(BLOCK, g->n - j * BLOCK));
	amx_pack_b(own->b, &s);
	return own->b;
}

/* Blocks [left, right) of C from @p row on, over all parts of k: each part of
 * A is packed once for all of them. */
static void strip(const struct part *whole, size_t row, size_t left,
		  size_t right, struct own *own)
{
	const struct pfw_gemm *g = whole->g;
	struct amx_place at = { .row = row, .rows = least(BLOCK, g->m - row) };
	const int wide = g->c_dtype == PFW_F32;
	struct part p = *whole;

	for (p.k0 = 0; p.k0 < g->k; p.k0 += K_PART) {
		struct amx_source s;

		p.k = least(K_PART, g->k - p.k0);
		s = source_a(&p, row, at.rows);
		amx_pack_a(own->a, &s);
		for (size_t j = left; j < right; j++)
			tiles_multiply(own->a, part_of_b(&p, j, own),
				       blocks(p.k), own->sums[j - left], !p.k0);
	}
	for (size_t j = left; j < right; j++) {
		struct unfinished u;

		at.col = j * BLOCK;
		at.cols = least(BLOCK, g->n - at.col);
		u = to_finish(g, &at, own->sums[j - left], g->epilogue, wide);
		finish_rows(&u, BLOCK, g->epilogue, wide);
	}
}

static void some_strips(const void *context, size_t first, size_t end,
			float *scratch)
{
	const struct part *p = context;
	const size_t wide = blocks(p->g->n);

	tiles_configure();
	for (size_t i = first; i < end; i++) {
		size_t left = i % p->wide * p->cols;

		strip(p, i / p->wide * BLOCK, left,
		      least(wide, left + p->cols), (struct own *)scratch);
	}
	_mm_sfence(); /* likewise */
	_tile_release();
}

/* A long k whose parts cannot meet in C, because the epilogue needs C as it
 * was, or because it is bf16.  Strips are shorter than they could be where
 * there are fewer rows of them than threads. */
static void all_strips(struct part *p)
{
	const size_t high = blocks(p->g->m), wide = blocks(p->g->n);
	size_t pieces = (cpu_threads(p->queue) + high - 1) / high;

	p->cols = least(TOGETHER, (wide + pieces - 1) / pieces);
	p->wide = (wide + p->cols - 1) / p->cols;
	cpu_each(p->queue, high * p->wide, 1, some_strips, p);
}

/* Gradients of weights are read when all of them are there: they go past the
 * caches, line by line, none of which has to be fetched for it. */
static int goes_away(const struct pfw_gemm *g)
{
	return g->kind == PFW_GEMM_TN && g->c_dtype == PFW_F32 &&
	       !g->epilogue && g->k <= K_PART && !(g->n % 16) &&
	       !((uintptr_t)g->c % 64);
}

static void run(struct part *p)
{
	const struct pfw_gemm *g = p->g;
	uint32_t uses_c = g->epilogue & PFW_EPI_ACCUMULATE;

	if ((g->epilogue & PFW_EPI_RESIDUAL) && g->residual == g->c)
		uses_c |= PFW_EPI_RESIDUAL;
	if (g->k > K_PART && g->c_dtype != PFW_F32) {
		all_strips(p);
		return;
	}
	for (p->k0 = 0; p->k0 < g->k; p->k0 += K_PART) {
		p->k = least(K_PART, g->k - p->k0);
		p->steps = goes_away(g) ? AMX_AWAY : g->epilogue;
		if (g->k > K_PART) { /* parts are added up in C */
			p->steps = p->k0 || uses_c ? AMX_ADD_TO : 0;
			if (p->k0 + p->k == g->k)
				p->steps |= g->epilogue & ~uses_c;
		}
		p->near = near_for(p);
		all_columns(p);
	}
}

void amx_gemm(void *queue, const struct pfw_gemm *g)
{
	struct part p = { .queue = queue, .g = g };

	_Static_assert(sizeof(struct shared) <= CPU_SCRATCH * sizeof(float) &&
		       sizeof(struct own) <= CPU_SCRATCH * sizeof(float) &&
		       WIDE <= TOGETHER && B_NEAR >= K_PART * BLOCK,
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

static void pack_weight(void *queue, uint32_t kind, uint32_t rows,
			uint32_t cols, const float *weight, void *packed,
			const uint32_t *key)
{
	const int along = kind == PFW_GEMM_NT;
	struct amx_source s = { .weight = weight, .key = key, .ld = cols,
				.n = along ? rows : cols,
				.k = along ? cols : rows,
				.k_contiguous = along };

	amx_pack_all(queue, packed, &s, amx_pack_b);
}

void amx_pack(void *queue, uint32_t kind, uint32_t rows, uint32_t cols,
	      const float *weight, void *packed)
{
	pack_weight(queue, kind, rows, cols, weight, packed, NULL);
}

void amx_pack_at_random(void *queue, uint32_t kind, uint32_t rows,
			uint32_t cols, const float *weight, void *packed,
			uint32_t key)
{
	pack_weight(queue, kind, rows, cols, weight, packed, &key);
}
