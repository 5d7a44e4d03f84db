/* GEMM with epilogue, by our own product or by OpenBLAS. */
#include "isa/isa.h"

#ifdef HAVE_OPENBLAS
#include <cblas.h>
#endif

#define TILE_ROWS 64
#define TILE_COLS 512
#define TILE_SCRATCH (TILE_ROWS * TILE_COLS)
/* Floats of C that an epilogue finds in the second-level cache. */
#define PANEL_FLOATS (128 * 1024)
#define PANEL_LEAST 128

typedef void product_fn(const struct cpu_product *p);

static struct cpu_product part(const struct cpu_queue *q,
			       const struct pfw_gemm *g,
			       const struct cpu_block *b)
{
	struct cpu_product p = {
		.kind = g->kind, .m = (uint32_t)b->rows,
		.n = (uint32_t)b->cols, .k = g->k,
		.lda = g->kind == PFW_GEMM_TN ? g->m : g->k,
		.ldb = g->kind == PFW_GEMM_NT ? g->k : g->n,
		.scratch = q->scratch + TILE_SCRATCH,
	};

	p.a = (const float *)g->a +
	      b->row * (g->kind == PFW_GEMM_TN ? 1 : p.lda);
	p.b = (const float *)g->b +
	      b->col * (g->kind == PFW_GEMM_NT ? p.ldb : 1);
	return p;
}

/* The epilogue wants C as it was and cannot be had by adding to it: small tiles
 * beside C. */
static void run_tiles(const struct cpu_queue *q, const struct pfw_gemm *g,
		      product_fn *product)
{
	struct cpu_block b;

	for (b.row = 0; b.row < g->m; b.row += TILE_ROWS) {
		b.rows = g->m - b.row < TILE_ROWS ? g->m - b.row : TILE_ROWS;
		for (b.col = 0; b.col < g->n; b.col += TILE_COLS) {
			struct cpu_product p;

			b.cols = g->n - b.col < TILE_COLS ? g->n - b.col
							  : TILE_COLS;
			p = part(q, g, &b);
			p.c = q->scratch;
			p.ldc = TILE_COLS;
			product(&p);
			ISA(epilogue)(g, g->epilogue, &b, q->scratch,
				      TILE_COLS);
		}
	}
}

/* OpenBLAS knows no epilogue: panels of rows that are in the cache yet. */
static void run_panels(const struct cpu_queue *q, const struct pfw_gemm *g,
		       uint32_t steps, int accumulate, product_fn *product)
{
	struct cpu_block b = { .cols = g->n };
	size_t panel = PANEL_FLOATS / g->n;

	if (!steps)
		panel = g->m;
	else if (panel < PANEL_LEAST)
		panel = PANEL_LEAST;
	for (b.row = 0; b.row < g->m; b.row += panel) {
		struct cpu_product p;

		b.rows = g->m - b.row < panel ? g->m - b.row : panel;
		p = part(q, g, &b);
		p.c = (float *)g->c + b.row * g->n;
		p.ldc = g->n;
		p.accumulate = accumulate;
		product(&p);
		if (steps)
			ISA(epilogue)(g, steps, &b, p.c, g->n);
	}
}

static void run_whole(const struct cpu_queue *q, const struct pfw_gemm *g,
		      uint32_t steps, int accumulate, product_fn *product)
{
	struct cpu_block all = { .rows = g->m, .cols = g->n };
	struct cpu_product p = part(q, g, &all);

	p.c = g->c;
	p.ldc = g->n;
	p.accumulate = accumulate;
	p.finish = g;
	p.steps = steps;
	product(&p);
}

/* @p finishes: the product runs the epilogue itself. */
static void run(void *queue, const struct pfw_gemm *g, product_fn *product,
		int finishes)
{
	const uint32_t bent = PFW_EPI_GELU | PFW_EPI_DGELU;
	uint32_t steps = g->epilogue, uses_c = steps & PFW_EPI_ACCUMULATE;

	if ((steps & PFW_EPI_RESIDUAL) && g->residual == g->c)
		uses_c |= PFW_EPI_RESIDUAL;
	if (uses_c && ((steps & bent) || (uses_c & (uses_c - 1))))
		run_tiles(queue, g, product);
	else if (finishes)
		run_whole(queue, g, steps & ~uses_c, uses_c != 0, product);
	else
		run_panels(queue, g, steps & ~uses_c, uses_c != 0, product);
}

void ISA(gemm_own)(void *queue, const struct pfw_gemm *g)
{
	run(queue, g, ISA(product), 1);
}

static void product_bf16(const struct cpu_product *p)
{
	struct cpu_product rounded = *p;

	rounded.round = 1;
	ISA(product)(&rounded);
}

void ISA(gemm_bf16)(void *queue, const struct pfw_gemm *g)
{
	run(queue, g, product_bf16, 1);
}

#ifdef HAVE_OPENBLAS
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
