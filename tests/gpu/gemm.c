/*
 * Products of the cuda device beside cublasLt alone, on the card: those of a block
 * of GPT-2 in bf16, forward, for its input and for its weights.  The peer is the
 * fastest of what cublasLt's heuristics offer, descriptors made beforehand.
 *
 * gemm PLUGIN [WIDTH SEQUENCES]...: a line for each width, the least ratio last.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "cuda.h"

#define SEQ 1024u
#define OFFERS 8
#define CALLS 20u
#define ROUNDS 5u
#define WORKSPACE ((size_t)32 << 20)

struct bench {
	const struct pfw_device_ops *ops;
	const struct pfw_kernels *k;
	void *device, *queue;
	struct cuda_lt lt;
	cublasLtHandle_t handle;
	cudaEvent_t from, to;
	void *a, *b, *c, *workspace;
};

static void must(int failed, const char *what)
{
	if (!failed)
		return;
	printf("%s failed\n", what);
	exit(1);
}

static void open_bench(struct bench *x, const char *path, size_t most)
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
	must(x->ops->alloc(x->device, most, &x->a, &err) ||
	     x->ops->alloc(x->device, most, &x->b, &err) ||
	     x->ops->alloc(x->device, 2 * most, &x->c, &err) ||
	     x->ops->alloc(x->device, WORKSPACE, &x->workspace, &err), err.text);
}

/* cublasLt's matrices are column-major: our B comes first, see plan.c. */
struct peer {
	cublasLtMatmulDesc_t desc;
	cublasLtMatrixLayout_t first, second, out;
	cublasLtMatmulHeuristicResult_t offer[OFFERS];
	int n;
};

static void open_peer(const struct bench *x, const struct pfw_gemm *g,
		      struct peer *p)
{
	const struct cuda_lt *lt = &x->lt;
	const int nt = g->kind == PFW_GEMM_NT, tn = g->kind == PFW_GEMM_TN;
	const cublasOperation_t turn[2] = { nt ? CUBLAS_OP_T : CUBLAS_OP_N,
					    tn ? CUBLAS_OP_T : CUBLAS_OP_N };
	const cudaDataType_t type = g->c_dtype == PFW_F32 ? CUDA_R_32F :
							   CUDA_R_16BF;
	const uint64_t bytes = WORKSPACE;
	cublasLtMatmulPreference_t like;
	int e = lt->MatmulDescCreate(&p->desc, CUBLAS_COMPUTE_32F, CUDA_R_32F);

	e |= lt->MatmulDescSetAttribute(p->desc, CUBLASLT_MATMUL_DESC_TRANSA,
					&turn[0], sizeof(turn[0]));
	e |= lt->MatmulDescSetAttribute(p->desc, CUBLASLT_MATMUL_DESC_TRANSB,
					&turn[1], sizeof(turn[1]));
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

/* Milliseconds of CALLS of them; @p offer < 0: the device's. */
static double once(struct bench *x, const struct pfw_gemm *g,
		   const struct peer *p, int offer)
{
	const float one = 1, beta = g->epilogue & PFW_EPI_ACCUMULATE ? 1 : 0;
	cudaStream_t stream = x->ops->native(x->queue);
	float ms = 0;
	int e = cudaEventRecord(x->from, stream);

	for (uint32_t i = 0; i < CALLS && offer < 0; i++)
		x->k->gemm(x->queue, g);
	for (uint32_t i = 0; i < CALLS && offer >= 0; i++)
		e |= x->lt.Matmul(x->handle, p->desc, &one, g->b, p->first, g->a,
				  p->second, &beta, g->c, p->out, g->c, p->out,
				  &p->offer[offer].algo, x->workspace, WORKSPACE,
				  stream);
	e |= cudaEventRecord(x->to, stream);
	e |= x->ops->sync(x->queue, NULL);
	e |= cudaEventElapsedTime(&ms, x->from, x->to);
	must(e, "a product");
	return ms;
}

/* The shortest of some rounds of ours and of the peer's best offer, in turn. */
static void compare(struct bench *x, const struct pfw_gemm *g, double ms[2])
{
	struct peer p;
	double best[2] = { 1e30, 1e30 };

	open_peer(x, g, &p);
	once(x, g, &p, -1);
	for (uint32_t round = 0; round < ROUNDS; round++)
		for (int offer = -1; offer < p.n; offer++) {
			const double t = once(x, g, &p, offer);

			if (t < best[offer >= 0])
				best[offer >= 0] = t;
		}
	close_peer(x, &p);
	ms[0] += best[0];
	ms[1] += best[1];
}

/* A weight [out, in] in its three products. */
static void weight(struct bench *x, uint32_t rows, uint32_t out, uint32_t in,
		   double ms[2])
{
	struct pfw_gemm g = { .size = sizeof(g), .kind = PFW_GEMM_NT, .m = rows,
			      .n = out, .k = in, .c_dtype = PFW_BF16, .a = x->a,
			      .b = x->b, .c = x->c };

	compare(x, &g, ms);
	g.kind = PFW_GEMM_NN;
	g.n = in;
	g.k = out;
	compare(x, &g, ms);
	g.kind = PFW_GEMM_TN;
	g.epilogue = PFW_EPI_ACCUMULATE;
	g.c_dtype = PFW_F32;
	g.m = out;
	g.k = rows;
	compare(x, &g, ms);
}

int main(int argc, char **argv)
{
	struct bench x = { 0 };
	double least = 1e30;
	size_t most = 0;

	for (int i = 2; i + 1 < argc; i += 2) {
		size_t wide = 4 * (size_t)atoi(argv[i]);
		size_t rows = (size_t)atoi(argv[i + 1]) * SEQ;
		size_t bytes = 2 * wide * (rows > wide ? rows : wide);

		most = bytes > most ? bytes : most;
	}
	must(argc < 4, "gemm PLUGIN [WIDTH SEQUENCES]...: too few words, it");
	open_bench(&x, argv[1], most);
	for (int i = 2; i + 1 < argc; i += 2) {
		uint32_t c = (uint32_t)atoi(argv[i]);
		uint32_t rows = (uint32_t)atoi(argv[i + 1]) * SEQ;
		double ms[2] = { 0 };

		weight(&x, rows, 3 * c, c, ms);
		weight(&x, rows, c, c, ms);
		weight(&x, rows, 4 * c, c, ms);
		weight(&x, rows, c, 4 * c, ms);
		printf("width %u, %u rows: %.3f ms, cublasLt %.3f ms\n", c, rows,
		       ms[0] / CALLS, ms[1] / CALLS);
		least = ms[1] / ms[0] < least ? ms[1] / ms[0] : least;
	}
	printf("at least %.1f %% of cublasLt alone (12 products of a block, "
	       "bf16)\n", 100 * least);
	return 0;
}
