/* Products and attention at training's shapes, on a device of this process. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/philox.h"
#include "bench/apart.h"

#define ROWS 1024u      /* tokens of a micro-batch */
#define WIDTH_MAX 768u
#define LONGEST 4u      /* of a block's matrices: 4 times the width */
#define ROUND_NS (30 * PFW_MS)
#define AT_ONCE 16u     /* calls that a device is given before it is waited for */

/* A device that is open, and what it multiplies. */
struct bed {
	const struct pfw_device_ops *ops;
	const struct pfw_kernels *k;
	struct pfw_device_props props;
	uint32_t dtype; /* policy */
	void *device, *queue;
	void *began, *ended; /* events; NULL: calls are done when they return */
	void *a, *b, *c; /* act; c fp32 */
	float *weight;   /* of which packed is made */
	void *packed;
};

/* A matrix of a block: [out, in] times the width. */
struct matrix {
	uint32_t width, out, in;
};

static const struct matrix matrices[] = {
	{ 256, 3, 1 }, { 256, 1, 1 }, { 256, 4, 1 }, { 256, 1, 4 },
	{ 768, 3, 1 }, { 768, 1, 1 }, { 768, 4, 1 }, { 768, 1, 4 },
};

#define N_MATRICES (sizeof(matrices) / sizeof(matrices[0]))
#define N_QUICK 4u

static const struct {
	uint32_t kind;
	const char *name;
	double aim; /* bf16 on AMX beside OpenBLAS fp32 */
} kinds[] = {
	{ PFW_GEMM_NT, "NT", 8 },
	{ PFW_GEMM_NN, "NN", 7 },
	{ PFW_GEMM_TN, "TN", 6 },
};

static void bed_close(struct bed *bed)
{
	if (!bed->ops)
		return;
	bed->ops->free(bed->device, bed->a);
	bed->ops->free(bed->device, bed->b);
	bed->ops->free(bed->device, bed->c);
	bed->ops->free(bed->device, bed->weight);
	bed->ops->free(bed->device, bed->packed);
	if (bed->began)
		bed->ops->close_event(bed->began);
	if (bed->ended)
		bed->ops->close_event(bed->ended);
	if (bed->queue)
		bed->ops->close_queue(bed->queue);
	bed->ops->close(bed->device);
}

/* Numbers in (-1, 1): what is multiplied decides how much power it takes. */
static int fill(struct bed *bed, void *to, uint32_t dtype, float *from,
		uint64_t n, struct pfw_error *err)
{
	uint32_t counter[4] = { 0 }, words[4];
	int rc;

	for (uint64_t i = 0; i < n; i++) {
		counter[0] = (uint32_t)i;
		pfw_philox(counter, 1, words);
		from[i] = (float)((int32_t)words[0] * 0x1p-31);
	}
	rc = bed->ops->copy(bed->queue, bed->weight, from, n * sizeof(*from),
			    PFW_COPY_IN, err);
	if (!rc && to != bed->weight)
		bed->k->convert(bed->queue, to, dtype, bed->weight, n);
	return rc ? rc : bed->ops->sync(bed->queue, err);
}

static int allocate(struct bed *bed, struct pfw_error *err)
{
	const uint64_t weight = LONGEST * WIDTH_MAX * WIDTH_MAX;
	const uint64_t rows = (uint64_t)LONGEST * WIDTH_MAX * ROWS;
	float *host = malloc(rows * sizeof(*host));
	int rc = host ? 0 : pfw_error_set(err, ENOMEM, "out of memory");

	if (!rc)
		rc = bed->ops->alloc(bed->device, rows * sizeof(float), &bed->a,
				     err);
	if (!rc)
		rc = bed->ops->alloc(bed->device, rows * sizeof(float), &bed->b,
				     err);
	if (!rc)
		rc = bed->ops->alloc(bed->device, rows * sizeof(float), &bed->c,
				     err);
	if (!rc)
		rc = bed->ops->alloc(bed->device, rows * sizeof(float),
				     (void **)&bed->weight, err);
	if (!rc)
		rc = bed->ops->alloc(bed->device, 2 * weight * sizeof(float),
				     &bed->packed, err);
	if (!rc)
		rc = fill(bed, bed->a, bed->props.act_dtype, host, rows, err);
	if (!rc)
		rc = fill(bed, bed->b, bed->props.act_dtype, host, rows, err);
	free(host);
	return rc;
}

static int bed_open(struct bed *bed, const struct pfw_loaded *plugin,
		    uint32_t dtype, struct pfw_error *err)
{
	struct pfw_device_info info = { .size = sizeof(info), .dtype = dtype,
					.threads = 1 };
	const struct pfw_device_ops *ops = &plugin->ops.device;
	int rc;

	memset(bed, 0, sizeof(*bed));
	bed->dtype = dtype;
	bed->props.size = sizeof(bed->props);
	rc = ops->open(NULL, &info, &bed->device, &bed->props, err);
	if (rc)
		return rc;
	bed->ops = ops;
	bed->k = ops->kernels(bed->device);
	if (ops->enter_thread)
		rc = ops->enter_thread(bed->device, err);
	if (!rc)
		rc = ops->open_queue(bed->device, &bed->queue, err);
	if (!rc && ops->elapsed)
		rc = ops->open_event(bed->device, &bed->began, err);
	if (!rc && ops->elapsed)
		rc = ops->open_event(bed->device, &bed->ended, err);
	return rc ? rc : allocate(bed, err);
}

/* F is NT, I is NN, W is TN: of a matrix [out, in] on ROWS rows. */
static struct pfw_gemm product(const struct bed *bed, uint32_t kind,
			       const struct matrix *m)
{
	uint32_t out = m->width * m->out, in = m->width * m->in;
	struct pfw_gemm g = {
		.size = sizeof(g), .kind = kind, .c_dtype = PFW_F32,
		.m = kind == PFW_GEMM_TN ? out : ROWS,
		.n = kind == PFW_GEMM_NT ? out : in,
		.k = kind == PFW_GEMM_NT ? in :
		     kind == PFW_GEMM_NN ? out : ROWS,
		.a = bed->a, .b = bed->b, .c = bed->c,
	};

	return g;
}

/* A weight is packed once a step, so outside what is timed. */
static void pack(struct bed *bed, struct pfw_gemm *g, const struct matrix *m)
{
	uint32_t rows = m->width * m->out, cols = m->width * m->in;

	if (g->kind == PFW_GEMM_TN || !bed->k->pack_bytes ||
	    !bed->k->pack_bytes(bed->queue, g->kind, rows, cols))
		return;
	bed->k->pack(bed->queue, g->kind, rows, cols, bed->weight, bed->packed);
	g->b_packed = bed->packed;
}

/* Something to be timed. */
struct work {
	const struct pfw_gemm *gemm;
	const struct pfw_attention *forward, *backward;
};

static void enqueue(struct bed *bed, const struct work *w, uint32_t times)
{
	for (uint32_t i = 0; i < times; i++) {
		if (w->gemm)
			bed->k->gemm(bed->queue, w->gemm);
		if (w->forward)
			bed->k->attention_forward(bed->queue, w->forward);
		if (w->backward)
			bed->k->attention_backward(bed->queue, w->backward);
	}
}

/* Nanoseconds of so many calls: by the device's clock, where it works behind the
 * host's back, or the host's. */
static int time_calls(struct bed *bed, const struct work *w, uint32_t times,
		      uint64_t *ns, struct pfw_error *err)
{
	uint64_t start = pfw_now();
	int rc = bed->began ? bed->ops->record(bed->queue, bed->began, err) : 0;

	if (rc)
		return rc;
	enqueue(bed, w, times);
	if (bed->ended)
		rc = bed->ops->record(bed->queue, bed->ended, err);
	if (!rc)
		rc = bed->ops->sync(bed->queue, err);
	*ns = pfw_now() - start;
	return rc || !bed->ended ? rc :
				   bed->ops->elapsed(bed->began, bed->ended, ns,
						     err);
}

/* Seconds of one call: the mean over a round's worth of them. */
static int time_work(struct bed *bed, const struct work *w, double *seconds,
		     struct pfw_error *err)
{
	const uint32_t times = bed->began ? AT_ONCE : 1;
	uint64_t start, total = 0, ns;
	uint32_t calls = 0;
	int rc;

	rc = time_calls(bed, w, 1, &ns, err);
	start = pfw_now();
	do {
		if (!rc)
			rc = time_calls(bed, w, times, &ns, err);
		if (rc)
			return rc;
		total += ns;
		calls += times;
	} while (pfw_now() - start < ROUND_NS);
	*seconds = (double)total / 1e9 / calls;
	return 0;
}

static int time_product(struct bed *bed, uint32_t kind, const struct matrix *m,
			double *seconds, struct pfw_error *err)
{
	struct pfw_gemm g = product(bed, kind, m);
	const struct work w = { .gemm = &g };

	pack(bed, &g, m);
	return time_work(bed, &w, seconds, err);
}

static double flops(const struct matrix *m)
{
	return 2.0 * ROWS * m->width * m->width * m->out * m->in;
}

/* One round of a matrix: GFLOP/s in the row, seconds added to the sums; @theirs
 * NULL: there is no peer. */
static int one_round(struct bed *ours, struct bed *theirs, uint32_t kind,
		      const struct matrix *m, uint32_t round,
		      struct pfw_bench_row *row, double sums[2],
		      struct pfw_error *err)
{
	double a, b;
	int rc = time_product(ours, kind, m, &a, err);

	if (rc)
		return rc;
	row->ours[round] = flops(m) / 1e9 / a;
	sums[0] += a;
	if (!theirs)
		return 0;
	rc = time_product(theirs, kind, m, &b, err);
	if (rc)
		return rc;
	row->theirs[round] = flops(m) / 1e9 / b;
	sums[1] += b;
	return 0;
}

static void print_product(struct pfw_bench *bench, const struct bed *ours,
			  uint32_t kind, uint32_t matrix,
			  struct pfw_bench_row *row)
{
	struct pfw_gemm g = product(ours, kinds[kind].kind, &matrices[matrix]);
	char work[64];

	snprintf(work, sizeof(work), "%s %u x %u x %u", kinds[kind].name, g.m,
		 g.n, g.k);
	row->work = work;
	pfw_bench_print(bench, row);
}

/* All matrices of one kind; the last row is their sum, as in a block. */
static int compare(struct pfw_bench *bench, struct bed *ours,
		   struct bed *theirs, uint32_t kind, struct pfw_error *err)
{
	uint32_t n = bench->quick ? N_QUICK : N_MATRICES;
	struct pfw_bench_row rows[N_MATRICES + 1];
	double work = 0;
	char words[16];

	memset(rows, 0, sizeof(rows));
	for (uint32_t i = 0; i <= n; i++) {
		rows[i].unit = "GFLOP/s";
		rows[i].peer = theirs ? "OpenBLAS fp32" : NULL;
		work += i < n ? flops(&matrices[i]) : 0;
	}
	for (uint32_t round = 0; round < bench->rounds; round++) {
		double sums[2] = { 0 };

		for (uint32_t i = 0; i < n; i++)
			if (one_round(ours, theirs, kinds[kind].kind,
				      &matrices[i], round, &rows[i], sums, err))
				return -EIO;
		rows[n].ours[round] = work / 1e9 / sums[0];
		if (theirs)
			rows[n].theirs[round] = work / 1e9 / sums[1];
	}
	for (uint32_t i = 0; i < n; i++)
		print_product(bench, ours, kind, i, &rows[i]);
	snprintf(words, sizeof(words), "%s together", kinds[kind].name);
	rows[n].work = words;
	rows[n].aim = theirs && ours->dtype == PFW_BF16 ? kinds[kind].aim : 0;
	pfw_bench_print(bench, &rows[n]);
	return 0;
}

static double best_peak(struct bed *bed)
{
	double best = 0;

	for (int i = 0; i < 16; i++) {
		uint64_t start = pfw_now();
		double n = bed->k->peak(bed->queue);

		bed->ops->sync(bed->queue, NULL);
		best = fmax(best, n / (double)(pfw_now() - start));
	}
	return best;
}

static void peak(struct pfw_bench *bench, struct bed *bed, const char *work)
{
	struct pfw_bench_row row = { .work = work, .unit = "GFLOP/s" };

	if (!bed->k->peak)
		return;
	for (uint32_t round = 0; round < bench->rounds; round++)
		row.ours[round] = best_peak(bed);
	pfw_bench_print(bench, &row);
}

/* GPT-2's heads of 64 on a sequence of 1024. */
static int attention(struct pfw_bench *bench, struct bed *bed,
		     struct pfw_error *err)
{
	const struct pfw_attention a = {
		.size = sizeof(a), .batch = 1, .seq = ROWS, .heads = 12,
		.head_size = 64, .qkv = bed->a, .out = bed->c,
		.stats = (float *)bed->packed, .grad_out = bed->c,
		.grad_qkv = bed->b,
	};
	const struct work forward = { .forward = &a }, backward = { .backward = &a };
	const double product = 2.0 * ROWS * ROWS / 2 * WIDTH_MAX / 1e9;
	struct pfw_bench_row f = { .work = "attention 1024 x 12 x 64, F",
				   .unit = "GFLOP/s" };
	struct pfw_bench_row b = { .work = "attention 1024 x 12 x 64, B",
				   .unit = "GFLOP/s" };

	for (uint32_t round = 0; round < bench->rounds; round++) {
		double f_s, b_s;
		int rc = time_work(bed, &forward, &f_s, err);

		if (!rc)
			rc = time_work(bed, &backward, &b_s, err);
		if (rc)
			return rc;
		f.ours[round] = 2 * product / f_s;
		b.ours[round] = 4 * product / b_s;
	}
	pfw_bench_print(bench, &f);
	pfw_bench_print(bench, &b);
	return 0;
}

/* OpenBLAS as the cpu device calls it, whatever that one would choose. */
static int open_openblas(struct bed *bed, const struct pfw_loaded *plugin,
			 struct pfw_error *err)
{
	const char *was = getenv("PIPEFW_BLAS");
	char *kept = was ? strdup(was) : NULL;
	int rc;

	setenv("PIPEFW_BLAS", "openblas", 1);
	rc = bed_open(bed, plugin, PFW_F32, err);
	if (kept)
		setenv("PIPEFW_BLAS", kept, 1);
	else
		unsetenv("PIPEFW_BLAS");
	free(kept);
	return rc;
}

static int one_dtype(struct pfw_bench *bench, const struct pfw_loaded *plugin,
		     uint32_t dtype, struct bed *blas, const char *why,
		     struct pfw_error *err)
{
	char heading[256];
	struct bed bed;
	int rc = bed_open(&bed, plugin, dtype, err);

	if (!rc) {
		snprintf(heading, sizeof(heading),
			 "%s %s (%s); products of %s into fp32",
			 plugin->info.name, pfw_dtype_name(dtype),
			 bed.props.path, pfw_dtype_name(bed.props.act_dtype));
		pfw_bench_heading(bench, heading);
		peak(bench, &bed, "peak, nothing from memory");
		if (why)
			pfw_bench_skip(bench, "products", "OpenBLAS", why);
		for (uint32_t k = 0; !rc && k < 3; k++)
			rc = compare(bench, &bed, blas, k, err);
		if (!rc)
			rc = attention(bench, &bed, err);
	}
	bed_close(&bed);
	return rc;
}

/* The rows of @p plugin beside those of @p cpu's OpenBLAS; NULL: nobody's. */
static int measure(struct pfw_bench *bench, const struct pfw_loaded *plugin,
		   const struct pfw_loaded *cpu, struct pfw_error *err)
{
	struct pfw_error none = { 0 };
	struct bed blas = { 0 };
	int has_blas = cpu && !open_openblas(&blas, cpu, &none), rc = 0;

	for (uint32_t dtype = PFW_F32; !rc && dtype <= PFW_BF16; dtype++)
		rc = one_dtype(bench, plugin, dtype, has_blas ? &blas : NULL,
			       cpu && !has_blas ? none.text : NULL, err);
	bed_close(&blas);
	return rc;
}

static int get(const struct pfw_bench *bench, const char *name,
	       const struct pfw_loaded **out, struct pfw_error *err)
{
	return pfw_registry_get(bench->registry, PFW_KIND_DEVICE, name, out,
				err);
}

/* A card is not for comparison with a core. */
static int measure_card(struct pfw_bench *bench, struct pfw_error *err)
{
	const struct pfw_loaded *plugin;
	int rc = get(bench, bench->device, &plugin, err);

	return rc ? rc : measure(bench, plugin, NULL, err);
}

/* Other parts start processes, which those who have opened a card must not. */
int pfw_bench_compute(struct pfw_bench *bench, struct pfw_error *err)
{
	const struct pfw_loaded *plugin, *cpu;
	int rc = get(bench, bench->device, &plugin, err);

	bench->part = "compute";
	if (!rc && plugin->ops.device.memory & ~PFW_MEM_HOST)
		return pfw_bench_apart(bench, measure_card, err);
	if (!rc)
		rc = get(bench, "cpu", &cpu, err);
	return rc ? rc : measure(bench, plugin, cpu, err);
}
