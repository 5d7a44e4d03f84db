/* GEMM with epilogue, by our own product or by OpenBLAS. */
#include "isa/isa.h"

#include "isa/vec.h"

#if defined(HAVE_OPENBLAS) && !defined(CPU_BF16)
#define WITH_BLAS
#include <cblas.h>
#endif

/* Sums that do not go into C as they are. */
#define TILE_ROWS (ACT_DTYPE == PFW_F32 ? 64 : 192)
#define TILE_COLS 512
#define TILE_SCRATCH (TILE_ROWS * TILE_COLS)

typedef void product_fn(const struct cpu_product *p);

/* A product cut into blocks, each of them made by one thread. */
struct cut {
	const struct pfw_gemm *g;
	product_fn *product;
	uint32_t steps;
	int accumulate;
	size_t rows, cols; /* of a block */
	size_t wide;       /* blocks side by side */
};

static struct cpu_product part(const struct pfw_gemm *g,
			       const struct cpu_block *b)
{
	struct cpu_product p = {
		.kind = g->kind, .m = (uint32_t)b->rows,
		.n = (uint32_t)b->cols, .k = g->k,
		.lda = g->kind == PFW_GEMM_TN ? g->m : g->k,
		.ldb = g->kind == PFW_GEMM_NT ? g->k : g->n,
	};

	p.a = (const act *)g->a + b->row * (g->kind == PFW_GEMM_TN ? 1 : p.lda);
	p.b = (const act *)g->b + b->col * (g->kind == PFW_GEMM_NT ? p.ldb : 1);
	return p;
}

static struct cpu_block block_at(const struct cut *cut, size_t i)
{
	struct cpu_block b = { .row = i / cut->wide * cut->rows,
			       .col = i % cut->wide * cut->cols };

	b.rows = cut->g->m - b.row < cut->rows ? cut->g->m - b.row : cut->rows;
	b.cols = cut->g->n - b.col < cut->cols ? cut->g->n - b.col : cut->cols;
	return b;
}

static void run_blocks(void *queue, struct cut *cut, cpu_body *body)
{
	size_t high = (cut->g->m + cut->rows - 1) / cut->rows;

	cut->wide = (cut->g->n + cut->cols - 1) / cut->cols;
	cpu_each(queue, high * cut->wide, 1, body, cut);
}

/* The epilogue wants C as it was and cannot be had by adding to it, or C is no
 * place for sums: tiles beside C. */
static void run_tiles(const void *context, size_t first, size_t end,
		      float *scratch)
{
	const struct cut *cut = context;

	for (size_t i = first; i < end; i++) {
		struct cpu_block b = block_at(cut, i);
		struct cpu_product p = part(cut->g, &b);

		p.c = scratch;
		p.ldc = TILE_COLS;
		p.scratch = scratch + TILE_SCRATCH;
		cut->product(&p);
		ISA(epilogue)(cut->g, cut->steps, &b, scratch, TILE_COLS);
	}
	vec_fence(); /* the GELU's slope goes past the caches */
}

static struct cpu_product part_of_c(const struct cut *cut,
				    const struct cpu_block *b)
{
	struct cpu_product p = part(cut->g, b);

	p.c = (float *)cut->g->c + b->row * cut->g->n + b->col;
	p.ldc = cut->g->n;
	p.accumulate = cut->accumulate;
	return p;
}

/* A product that runs the epilogue itself. */
static void run_parts(const void *context, size_t first, size_t end,
		      float *scratch)
{
	const struct cut *cut = context;

	for (size_t i = first; i < end; i++) {
		struct cpu_block b = block_at(cut, i);
		struct cpu_product p = part_of_c(cut, &b);

		p.scratch = scratch;
		p.finish = cut->g;
		p.steps = cut->steps;
		p.row = b.row;
		p.col = b.col;
		cut->product(&p);
	}
	vec_fence();
}

/* A product that knows no epilogue: parts that are in the cache yet. */
static void run_panels(const void *context, size_t first, size_t end,
		       float *scratch)
{
	const struct cut *cut = context;

	(void)scratch;
	for (size_t i = first; i < end; i++) {
		struct cpu_block b = block_at(cut, i);
		struct cpu_product p = part_of_c(cut, &b);

		cut->product(&p);
		if (cut->steps)
			ISA(epilogue)(cut->g, cut->steps, &b, p.c, cut->g->n);
	}
	vec_fence();
}

/* A multiple of what our own product is best at. */
#define PART_ROWS 96
#define PART_COLS 128

static size_t rounded_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

/* Two parts for each thread.  Rows of B are packed for each part of A's rows
 * and the other way round: as few as can be of both. */
static void cut_for(struct cut *cut, size_t threads)
{
	const size_t m = cut->g->m, n = cut->g->n, parts = 2 * threads;
	size_t best = SIZE_MAX;

	cut->rows = m;
	cut->cols = n;
	for (size_t high = 1; threads > 1 && high <= parts; high++) {
		size_t wide = (parts + high - 1) / high;
		size_t cost = high * n + wide * m;

		if (cost >= best)
			continue;
		best = cost;
		cut->rows = rounded_up((m + high - 1) / high, PART_ROWS);
		cut->cols = rounded_up((n + wide - 1) / wide, PART_COLS);
	}
}

/* Parts of OpenBLAS's products: its sums may depend on where an element is, so
 * these follow from the shape alone. */
#define BLAS_ROWS 256
#define BLAS_COLS 512

/* @p finishes: the product runs the epilogue itself. */
static void run(void *queue, const struct pfw_gemm *g, product_fn *product,
		int finishes)
{
	const uint32_t bent = PFW_EPI_GELU | PFW_EPI_DGELU;
	uint32_t steps = g->epilogue, uses_c = steps & PFW_EPI_ACCUMULATE;
	struct cut cut = { .g = g, .product = product, .steps = steps,
			   .rows = TILE_ROWS, .cols = TILE_COLS };

	if ((steps & PFW_EPI_RESIDUAL) && g->residual == g->c)
		uses_c |= PFW_EPI_RESIDUAL;
	if (g->c_dtype != PFW_F32 ||
	    (uses_c && ((steps & bent) || (uses_c & (uses_c - 1))))) {
		run_blocks(queue, &cut, run_tiles);
		return;
	}
	cut.steps = steps & ~uses_c;
	cut.accumulate = uses_c != 0;
	if (finishes) {
		cut_for(&cut, cpu_threads(queue));
		run_blocks(queue, &cut, run_parts);
		return;
	}
	cut.rows = BLAS_ROWS;
	cut.cols = BLAS_COLS;
	run_blocks(queue, &cut, run_panels);
}

void ISA(gemm_own)(void *queue, const struct pfw_gemm *g)
{
	run(queue, g, ISA(product), 1);
}

#ifdef WITH_BLAS
static void product_blas(const struct cpu_product *p)
{
	cblas_sgemm(CblasRowMajor,
		    p->kind == PFW_GEMM_TN ? CblasTrans : CblasNoTrans,
		    p->kind == PFW_GEMM_NT ? CblasTrans : CblasNoTrans,
		    (blasint)p->m, (blasint)p->n, (blasint)p->k, 1.0f, p->a,
		    (blasint)p->lda, p->b, (blasint)p->ldb,
		    p->accumulate ? 1.0f : 0.0f, p->c, (blasint)p->ldc);
}

void ISA(gemm_blas)(void *queue, const struct pfw_gemm *g)
{
	run(queue, g, product_blas, 0);
}
#endif
