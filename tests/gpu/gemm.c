/*
 * Products of the cuda device beside cublasLt alone, on the card: those of a block
 * of GPT-2 in bf16, forward, for its input and for its weights, as the stage asks
 * for them: with bias, GELU and its derivative, the residual, and sums into fp32.
 * The peer is the fastest of what cublasLt's heuristics offer for the same product
 * with the same epilogue, descriptors made and the bias converted beforehand.
 *
 * Numbers are random: what is multiplied decides the card's power, and so its clock.
 * Both must come to the same results.
 *
 * gemm [--quick] PLUGIN [WIDTH ROWS]...: a line for each product, the least ratio of
 * a width last.
 */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda.h"
#include "kernels/bf16.h"

#define OFFERS 8
#define WORKSPACE ((size_t)32 << 20)
#define SAMPLE ((size_t)1 << 20) /* of a result's last numbers that are compared */
#define FARTHEST 2e-2            /* of their root mean square: bf16 has 2^-8 */

struct bench {
	const struct pfw_device_ops *ops;
	const struct pfw_kernels *k;
	void *device, *queue;
	struct cuda_lt lt;
	cublasLtHandle_t handle;
	cudaEvent_t from, to;
	void *a, *b, *c[2], *aux, *residual, *workspace; /* c: ours, the peer's */
	float *bias;
	void *bias_act; /* the same, in bf16 */
	uint32_t calls, rounds;
	double far;     /* the farthest that two results were apart */
};

/* A product of a block. */
struct product {
	const char *name;
	struct pfw_gemm gemm;
};

static void must(int failed, const char *what)
{
	if (!failed)
		return;
	printf("%s failed\n", what);
	exit(1);
}

/* Near normal, mean 0 and variance 1: the sum of four numbers in (-1, 1) has 4/3.
 * (The generator is Marsaglia's xorshift64.) */
static float random_number(uint64_t *state)
{
	float sum = 0;

	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	for (int i = 0; i < 4; i++)
		sum += (float)(int16_t)(*state >> 16 * i) / 32768;
	return sum * 0.866f;
}

/* A megabyte of them, over and over. */
static void fill(struct bench *x, void *to, size_t bytes, float scale)
{
	static uint64_t state = 88172645463325252u;
	static uint16_t some[1 << 19];
	struct pfw_error err = { 0 };

	for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++)
		some[i] = to_bf16(scale * random_number(&state));
	for (size_t at = 0; at < bytes; at += sizeof(some)) {
		size_t n = bytes - at < sizeof(some) ? bytes - at : sizeof(some);

		must(x->ops->copy(x->queue, (char *)to + at, some, n,
				  PFW_COPY_IN, &err), err.text);
	}
	must(x->ops->sync(x->queue, &err), err.text);
}

static void *filled(struct bench *x, size_t bytes, float scale)
{
	struct pfw_error err = { 0 };
	void *p;

	must(x->ops->alloc(x->device, bytes, &p, &err), err.text);
	if (scale > 0)
		fill(x, p, bytes, scale);
	return p;
}

/* @widest numbers a row at the most, @rows of them. */
static void open_operands(struct bench *x, size_t widest, size_t rows)
{
	const size_t most = widest * (rows > widest ? rows : widest);

	x->a = filled(x, 2 * most, 1);
	x->b = filled(x, 2 * most, 0.02f); /* as weights begin */
	x->aux = filled(x, 2 * most, 1);
	x->residual = filled(x, 2 * most, 1);
	x->c[0] = filled(x, 4 * most, 0);
	x->c[1] = filled(x, 4 * most, 0);
	/* Two of bf16 in a float: its upper half is nearly all of it. */
	x->bias = filled(x, widest * sizeof(float), 1);
	x->bias_act = filled(x, widest * 2, 0);
	x->k->convert(x->queue, x->bias_act, PFW_BF16, x->bias, widest);
	x->workspace = filled(x, WORKSPACE, 0);
}

static void open_bench(struct bench *x, const char *path)
{
	const struct pfw_device_info info = { .size = sizeof(info),
					      .dtype = PFW_BF16, .threads = 1 };
	struct pfw_device_props props = { .size = sizeof(props) };
	struct pfw_error err = { 0 };
	void *library = dlopen(path, RTLD_NOW);
	const struct pfw_plugin *plugin;

	must(!library, path);
	plugin = dlsym(library, "pfw_plugin");
	must(!plugin, path);
	x->ops = plugin->ops;
	must(x->ops->open(NULL, &info, &x->device, &props, &err), err.text);
	must(x->ops->open_queue(x->device, &x->queue, &err), err.text);
	x->k = x->ops->kernels(x->device);
	must(cuda_lt_load(&x->lt, &err), err.text);
	must(x->lt.Create(&x->handle), "cublasLtCreate");
	must(cudaEventCreate(&x->from) || cudaEventCreate(&x->to), "an event");
}

/* cublasLt's matrices are column-major: our B comes first, see plan.c. */
struct peer {
	cublasLtMatmulDesc_t desc;
	cublasLtMatrixLayout_t first, second, out;
	cublasLtMatmulHeuristicResult_t offer[OFFERS];
	int n;
};

static cublasLtEpilogue_t epilogue_of(const struct pfw_gemm *g)
{
	return g->epilogue & PFW_EPI_GELU  ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS :
	       g->epilogue & PFW_EPI_DGELU ? CUBLASLT_EPILOGUE_DGELU :
	       g->epilogue & PFW_EPI_BIAS  ? CUBLASLT_EPILOGUE_BIAS :
					     CUBLASLT_EPILOGUE_DEFAULT;
}

static int describe(const struct bench *x, const struct pfw_gemm *g,
		    struct peer *p)
{
	const struct cuda_lt *lt = &x->lt;
	const int nt = g->kind == PFW_GEMM_NT, tn = g->kind == PFW_GEMM_TN;
	const cublasOperation_t turn[2] = { nt ? CUBLAS_OP_T : CUBLAS_OP_N,
					    tn ? CUBLAS_OP_T : CUBLAS_OP_N };
	const cublasLtEpilogue_t epilogue = epilogue_of(g);
	const int64_t ld = g->n;
	int e = lt->MatmulDescCreate(&p->desc, CUBLAS_COMPUTE_32F, CUDA_R_32F);

	e |= lt->MatmulDescSetAttribute(p->desc, CUBLASLT_MATMUL_DESC_TRANSA,
					&turn[0], sizeof(turn[0]));
	e |= lt->MatmulDescSetAttribute(p->desc, CUBLASLT_MATMUL_DESC_TRANSB,
					&turn[1], sizeof(turn[1]));
	e |= lt->MatmulDescSetAttribute(p->desc, CUBLASLT_MATMUL_DESC_EPILOGUE,
					&epilogue, sizeof(epilogue));
	if (g->epilogue & PFW_EPI_BIAS)
		e |= lt->MatmulDescSetAttribute(
			p->desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER,
			&x->bias_act, sizeof(x->bias_act));
	if (!(g->epilogue & (PFW_EPI_GELU | PFW_EPI_DGELU)))
		return e;
	e |= lt->MatmulDescSetAttribute(
		p->desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, &ld, sizeof(ld));
	return e | lt->MatmulDescSetAttribute(
			   p->desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER,
			   &g->aux, sizeof(g->aux));
}

static void open_peer(const struct bench *x, const struct pfw_gemm *g,
		      struct peer *p)
{
	const struct cuda_lt *lt = &x->lt;
	const int nt = g->kind == PFW_GEMM_NT, tn = g->kind == PFW_GEMM_TN;
	const cudaDataType_t type = g->c_dtype == PFW_F32 ? CUDA_R_32F :
							   CUDA_R_16BF;
	const uint64_t bytes = WORKSPACE;
	cublasLtMatmulPreference_t like;
	int e = describe(x, g, p);

	e |= lt->MatrixLayoutCreate(&p->first, CUDA_R_16BF, nt ? g->k : g->n,
				    nt ? g->n : g->k, nt ? g->k : g->n);
	e |= lt->MatrixLayoutCreate(&p->second, CUDA_R_16BF, tn ? g->m : g->k,
				    tn ? g->k : g->m, tn ? g->m : g->k);
	e |= lt->MatrixLayoutCreate(&p->out, type, g->n, g->m, g->n);
	e |= lt->MatmulPreferenceCreate(&like);
	e |= lt->MatmulPreferenceSetAttribute(
		like, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &bytes,
		sizeof(bytes));
	e |= lt->MatmulAlgoGetHeuristic(x->handle, p->desc, p->first, p->second,
					p->out, p->out, like, OFFERS, p->offer,
					&p->n);
	must(e || p->n < 1, "cublasLt's choice");
	lt->MatmulPreferenceDestroy(like);
}

static void close_peer(const struct bench *x, struct peer *p)
{
	x->lt.MatmulDescDestroy(p->desc);
	x->lt.MatrixLayoutDestroy(p->first);
	x->lt.MatrixLayoutDestroy(p->second);
	x->lt.MatrixLayoutDestroy(p->out);
}

/* @p offer < 0: by the device. */
static int multiply(struct bench *x, const struct pfw_gemm *g,
		    const struct peer *p, int offer)
{
	const uint32_t sums = PFW_EPI_ACCUMULATE | PFW_EPI_RESIDUAL;
	const float one = 1, beta = g->epilogue & sums ? 1 : 0;
	const void *add = g->residual ? g->residual : x->c[1];

	if (offer >= 0)
		return x->lt.Matmul(x->handle, p->desc, &one, g->b, p->first,
				    g->a, p->second, &beta, add, p->out, x->c[1],
				    p->out, &p->offer[offer].algo, x->workspace,
				    WORKSPACE, x->ops->native(x->queue));
	x->k->gemm(x->queue, g);
	return 0;
}

/* Milliseconds of one of them. */
static double time_one(struct bench *x, const struct pfw_gemm *g,
		       const struct peer *p, int offer)
{
	cudaStream_t stream = x->ops->native(x->queue);
	float ms = 0;
	int e = cudaEventRecord(x->from, stream);

	for (uint32_t i = 0; i < x->calls; i++)
		e |= multiply(x, g, p, offer);
	e |= cudaEventRecord(x->to, stream);
	e |= x->ops->sync(x->queue, NULL);
	e |= cudaEventElapsedTime(&ms, x->from, x->to);
	must(e, "a product");
	return (double)ms / x->calls;
}

/* The last numbers of a result, as float. */
static float *result(struct bench *x, const struct pfw_gemm *g, const void *c,
		     size_t *count)
{
	const size_t all = (size_t)g->m * g->n, n = all < SAMPLE ? all : SAMPLE;
	const size_t each = pfw_dtype_bytes(g->c_dtype);
	float *out = malloc(n * sizeof(*out));
	uint16_t *raw = (uint16_t *)out;
	struct pfw_error err = { 0 };

	must(!out, "memory");
	must(x->ops->copy(x->queue, out, (const char *)c + (all - n) * each,
			  n * each, PFW_COPY_OUT, &err) ||
	     x->ops->sync(x->queue, &err), err.text);
	/* The last first: a float lies where two of the others lay. */
	for (size_t i = n; each == 2 && i--;)
		out[i] = from_bf16(raw[i]);
	*count = n;
	return out;
}

/* Once each, from the same numbers in c. */
static void check(struct bench *x, const struct product *p,
		  const struct peer *peer)
{
	const struct pfw_gemm *g = &p->gemm;
	const size_t bytes = (size_t)g->m * g->n * pfw_dtype_bytes(g->c_dtype);
	double squares = 0, far = 0;
	float *ours, *theirs;
	size_t n;

	fill(x, x->c[0], bytes, 1);
	must(x->ops->copy(x->queue, x->c[1], x->c[0], bytes, PFW_COPY_ON, NULL) ||
	     multiply(x, g, peer, -1) || multiply(x, g, peer, 0), p->name);
	ours = result(x, g, x->c[0], &n);
	theirs = result(x, g, x->c[1], &n);
	for (size_t i = 0; i < n; i++) {
		squares += (double)theirs[i] * theirs[i];
		far = fmax(far, fabs((double)ours[i] - theirs[i]));
		must(!isfinite(ours[i]), p->name);
	}
	free(ours);
	free(theirs);
	must(!(squares > 0), p->name);
	far /= sqrt(squares / (double)n);
	x->far = fmax(x->far, far);
	if (far > FARTHEST)
		printf("%s: %.1e apart\n", p->name, far);
	must(far > FARTHEST, "the same result");
}

/* The shortest of some rounds of ours and of the peer's best offer, in turn. */
static void compare(struct bench *x, const struct product *p, double ms[2])
{
	struct peer peer;
	double best[2] = { 1e30, 1e30 };

	open_peer(x, &p->gemm, &peer);
	check(x, p, &peer);
	for (uint32_t round = 0; round < x->rounds; round++)
		for (int offer = -1; offer < peer.n; offer++)
			best[offer >= 0] = fmin(best[offer >= 0],
						time_one(x, &p->gemm, &peer,
							 offer));
	close_peer(x, &peer);
	printf("  %-12s %5u x %5u x %5u  %8.3f ms, cublasLt %8.3f ms, %5.1f %%\n",
	       p->name, p->gemm.m, p->gemm.n, p->gemm.k, best[0], best[1],
	       100 * best[1] / best[0]);
	ms[0] += best[0];
	ms[1] += best[1];
}

/* The stage's, of a weight [in, out]: forward, for its input, for itself. */
static void weight(struct bench *x, const char *name, uint32_t rows, uint32_t in,
		   uint32_t out, uint32_t forward, uint32_t input, double ms[2])
{
	struct product p = { .gemm = {
		.size = sizeof(p.gemm), .kind = PFW_GEMM_NN,
		.epilogue = PFW_EPI_BIAS | forward, .m = rows, .n = out,
		.k = in, .c_dtype = PFW_BF16, .a = x->a, .b = x->b,
		.c = x->c[0], .bias = x->bias, .aux = x->aux,
		.residual = forward & PFW_EPI_RESIDUAL ? x->residual : NULL,
	} };
	char text[32];

	p.name = text;
	snprintf(text, sizeof(text), "%s, F", name);
	compare(x, &p, ms);
	snprintf(text, sizeof(text), "%s, I", name);
	p.gemm.kind = PFW_GEMM_NT;
	p.gemm.epilogue = input;
	p.gemm.n = in;
	p.gemm.k = out;
	p.gemm.residual = NULL;
	compare(x, &p, ms);
	snprintf(text, sizeof(text), "%s, W", name);
	p.gemm.kind = PFW_GEMM_TN;
	p.gemm.epilogue = PFW_EPI_ACCUMULATE;
	p.gemm.c_dtype = PFW_F32;
	p.gemm.m = in;
	p.gemm.n = out;
	p.gemm.k = rows;
	compare(x, &p, ms);
}

/* How much of cublasLt alone a block reaches. */
static double block(struct bench *x, uint32_t c, uint32_t rows)
{
	double ms[2] = { 0 };

	weight(x, "qkv", rows, c, 3 * c, 0, 0, ms);
	weight(x, "attention", rows, c, c, PFW_EPI_RESIDUAL, 0, ms);
	weight(x, "mlp up", rows, c, 4 * c, PFW_EPI_GELU, 0, ms);
	weight(x, "mlp down", rows, 4 * c, c, PFW_EPI_RESIDUAL, PFW_EPI_DGELU,
	       ms);
	printf("width %u, %u rows: %.3f ms, cublasLt %.3f ms, %.1f %%\n", c,
	       rows, ms[0], ms[1], 100 * ms[1] / ms[0]);
	return ms[1] / ms[0];
}

int main(int argc, char **argv)
{
	const int quick = argc > 1 && !strcmp(argv[1], "--quick");
	struct bench x = { .calls = quick ? 2 : 20, .rounds = quick ? 1 : 5 };
	size_t widest = 0, most = 0;
	double least = 1e30;

	argc -= quick;
	argv += quick;
	must(argc < 4, "gemm [--quick] PLUGIN [WIDTH ROWS]...: too few words, it");
	for (int i = 2; i + 1 < argc; i += 2) {
		widest = (size_t)fmax((double)widest, 4.0 * atoi(argv[i]));
		most = (size_t)fmax((double)most, atoi(argv[i + 1]));
	}
	open_bench(&x, argv[1]);
	open_operands(&x, widest, most);
	for (int i = 2; i + 1 < argc; i += 2)
		least = fmin(least, block(&x, (uint32_t)atoi(argv[i]),
					  (uint32_t)atoi(argv[i + 1])));
	printf("at least %.1f %% of cublasLt alone (12 products of a block with "
	       "their epilogues, bf16, random numbers; results at most %.1e "
	       "apart)\n", 100 * least, x.far);
	return 0;
}
