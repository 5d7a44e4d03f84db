/*
 * Matrix products by cublasLt.  Descriptors and the choice of an algorithm are
 * made once for each shape and kept.
 *
 * cublasLt's matrices are column-major: a row-major C[m,n] is its C'[n,m].  So
 * our B comes first there, and what it calls rows are our columns.
 */
#include <stdlib.h>
#include <string.h>

#include "cuda.h"

/* What all tensors are aligned to is enough for every vector load and TMA. */
#define LEAST_ALIGN 16u

struct cuda_plan {
	struct cuda_plan *next;
	struct cuda_shape shape;
	int impossible;
	cublasLtMatmulDesc_t desc;
	cublasLtMatrixLayout_t first, second, out;
	cublasLtMatmulAlgo_t algo;
};

static cudaDataType_t type_of(uint32_t dtype)
{
	return dtype == PFW_BF16 ? CUDA_R_16BF : CUDA_R_32F;
}

static void destroy(const struct cuda_lt *lt, struct cuda_plan *p)
{
	if (p->desc)
		lt->MatmulDescDestroy(p->desc);
	if (p->first)
		lt->MatrixLayoutDestroy(p->first);
	if (p->second)
		lt->MatrixLayoutDestroy(p->second);
	if (p->out)
		lt->MatrixLayoutDestroy(p->out);
	free(p);
}

void cuda_free_plans(struct cuda_queue *q)
{
	while (q->plans) {
		struct cuda_plan *p = q->plans;

		q->plans = p->next;
		destroy(&q->device->lt, p);
	}
}

static cublasLtEpilogue_t epilogue_of(uint32_t epilogue)
{
	switch (epilogue) {
	case PFW_EPI_BIAS:
		return CUBLASLT_EPILOGUE_BIAS;
	case PFW_EPI_BIAS | PFW_EPI_GELU:
		return CUBLASLT_EPILOGUE_GELU_AUX_BIAS;
	case PFW_EPI_GELU:
		return CUBLASLT_EPILOGUE_GELU_AUX;
	case PFW_EPI_DGELU:
		return CUBLASLT_EPILOGUE_DGELU;
	default:
		return CUBLASLT_EPILOGUE_DEFAULT;
	}
}

static int set(const struct cuda_lt *lt, struct cuda_plan *p,
	       cublasLtMatmulDescAttributes_t what, const void *value,
	       size_t bytes)
{
	return lt->MatmulDescSetAttribute(p->desc, what, value, bytes);
}

/* The sums are fp32: no TF32, no bf16 on the way. */
static int make_desc(const struct cuda_lt *lt, struct cuda_plan *p)
{
	const struct cuda_shape *s = &p->shape;
	cublasOperation_t first = s->kind == PFW_GEMM_NT ? CUBLAS_OP_T :
							   CUBLAS_OP_N;
	cublasOperation_t second = s->kind == PFW_GEMM_TN ? CUBLAS_OP_T :
							    CUBLAS_OP_N;
	cublasLtEpilogue_t epilogue = epilogue_of(s->epilogue);
	int64_t ld = s->n;
	int e = lt->MatmulDescCreate(&p->desc, CUBLAS_COMPUTE_32F, CUDA_R_32F);

	if (!e)
		e = set(lt, p, CUBLASLT_MATMUL_DESC_TRANSA, &first,
			sizeof(first));
	if (!e)
		e = set(lt, p, CUBLASLT_MATMUL_DESC_TRANSB, &second,
			sizeof(second));
	if (!e)
		e = set(lt, p, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue,
			sizeof(epilogue));
	if (!e && s->epilogue & (PFW_EPI_GELU | PFW_EPI_DGELU))
		e = set(lt, p, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, &ld,
			sizeof(ld));
	return e;
}

/* Of column-major matrices: rows are what lies together. */
static int make_layouts(const struct cuda_lt *lt, struct cuda_plan *p)
{
	const struct cuda_shape *s = &p->shape;
	cudaDataType_t act = type_of(s->act);
	int turned = s->kind == PFW_GEMM_NT;
	uint64_t rows = turned ? s->k : s->n, cols = turned ? s->n : s->k;
	int e = lt->MatrixLayoutCreate(&p->first, act, rows, cols,
				       (int64_t)rows);

	turned = s->kind == PFW_GEMM_TN;
	rows = turned ? s->m : s->k;
	cols = turned ? s->k : s->m;
	if (!e)
		e = lt->MatrixLayoutCreate(&p->second, act, rows, cols,
					   (int64_t)rows);
	if (!e)
		e = lt->MatrixLayoutCreate(&p->out, type_of(s->c_dtype), s->n,
					   s->m, s->n);
	return e;
}

static int set_preference(const struct cuda_lt *lt,
			  cublasLtMatmulPreference_t preference)
{
	static const cublasLtMatmulPreferenceAttributes_t aligned[] = {
		CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
		CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
		CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
		CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES,
	};
	const uint32_t align = LEAST_ALIGN;
	uint64_t bytes = PFW_CUDA_WORKSPACE;
	int e = lt->MatmulPreferenceSetAttribute(
		preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &bytes,
		sizeof(bytes));

	for (size_t i = 0; !e && i < sizeof(aligned) / sizeof(aligned[0]); i++)
		e = lt->MatmulPreferenceSetAttribute(preference, aligned[i],
						     &align, sizeof(align));
	return e;
}

static int choose(struct cuda_queue *q, struct cuda_plan *p)
{
	const struct cuda_lt *lt = &q->device->lt;
	cublasLtMatmulPreference_t preference;
	cublasLtMatmulHeuristicResult_t result;
	int found = 0;
	int e = lt->MatmulPreferenceCreate(&preference);

	if (e)
		return e;
	e = set_preference(lt, preference);
	if (!e)
		e = lt->MatmulAlgoGetHeuristic(q->device->handle, p->desc,
					       p->first, p->second, p->out,
					       p->out, preference, 1, &result,
					       &found);
	lt->MatmulPreferenceDestroy(preference);
	if (e || !found)
		return -1;
	p->algo = result.algo;
	return 0;
}

/* The pointers of an epilogue are part of its description. */
static int set_operands(const struct cuda_lt *lt, struct cuda_plan *p,
			const struct cuda_operands *with)
{
	int e = 0;

	if (p->shape.epilogue & PFW_EPI_BIAS)
		e = set(lt, p, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &with->bias,
			sizeof(with->bias));
	if (!e && p->shape.epilogue & (PFW_EPI_GELU | PFW_EPI_DGELU))
		e = set(lt, p, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER,
			&with->aux, sizeof(with->aux));
	return e;
}

/* Kept also where it cannot be done: so that nobody asks twice. */
static struct cuda_plan *make(struct cuda_queue *q,
			      const struct cuda_shape *shape,
			      const struct cuda_operands *with)
{
	const struct cuda_lt *lt = &q->device->lt;
	struct cuda_plan *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->shape = *shape;
	p->impossible = make_desc(lt, p) || make_layouts(lt, p) ||
			set_operands(lt, p, with) || choose(q, p);
	p->next = q->plans;
	q->plans = p;
	return p;
}

static struct cuda_plan *find(struct cuda_queue *q,
			      const struct cuda_shape *shape)
{
	for (struct cuda_plan *p = q->plans; p; p = p->next)
		if (!memcmp(&p->shape, shape, sizeof(*shape)))
			return p;
	return NULL;
}

int cuda_multiply(struct cuda_queue *q, const struct cuda_shape *shape,
		  const struct cuda_operands *with)
{
	const float alpha = 1, beta = with->add ? 1 : 0;
	const void *add = with->add ? with->add : with->out;
	struct cuda_plan *p = find(q, shape);
	int e;

	if (!p)
		p = make(q, shape, with);
	if (!p) {
		cuda_note(q, "gemm", cudaErrorMemoryAllocation);
		return 0;
	}
	if (p->impossible)
		return -1;
	e = set_operands(&q->device->lt, p, with);
	if (!e)
		e = q->device->lt.Matmul(q->device->handle, p->desc, &alpha,
					 with->b, p->first, with->a, p->second,
					 &beta, add, p->out, with->out, p->out,
					 &p->algo, q->workspace,
					 PFW_CUDA_WORKSPACE, q->stream);
	if (e)
		cuda_note(q, "cublasLtMatmul", cudaErrorLaunchFailure);
	return 0;
}
