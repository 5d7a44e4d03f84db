/* The stand-in for cublasLt: products as loops, on the stand-in's streams. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cuda.h"
#include "cuda/fake_cuda.h"

struct desc {
	int turn_a, turn_b;
	cublasLtEpilogue_t epilogue;
	const void *bias;
	void *aux;
};

struct layout {
	cudaDataType_t type;
	uint64_t rows, cols;
};

struct product {
	struct desc desc;
	struct layout la, lb, ld;
	const void *a, *b, *c;
	void *d;
	float beta;
};

static cublasStatus_t create(cublasLtHandle_t *out)
{
	*out = malloc(1);
	return *out ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_ALLOC_FAILED;
}

static cublasStatus_t destroy(cublasLtHandle_t handle)
{
	free(handle);
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t desc_create(cublasLtMatmulDesc_t *out,
				  cublasComputeType_t compute,
				  cudaDataType_t scale)
{
	struct desc *d = calloc(1, sizeof(*d));

	if (compute != CUBLAS_COMPUTE_32F || scale != CUDA_R_32F)
		abort();
	d->epilogue = CUBLASLT_EPILOGUE_DEFAULT;
	*out = (cublasLtMatmulDesc_t)d;
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t desc_destroy(cublasLtMatmulDesc_t desc)
{
	free(desc);
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t desc_set(cublasLtMatmulDesc_t desc,
			       cublasLtMatmulDescAttributes_t what,
			       const void *value, size_t bytes)
{
	struct desc *d = (struct desc *)desc;

	(void)bytes;
	switch (what) {
	case CUBLASLT_MATMUL_DESC_TRANSA:
		d->turn_a = *(const cublasOperation_t *)value == CUBLAS_OP_T;
		break;
	case CUBLASLT_MATMUL_DESC_TRANSB:
		d->turn_b = *(const cublasOperation_t *)value == CUBLAS_OP_T;
		break;
	case CUBLASLT_MATMUL_DESC_EPILOGUE:
		d->epilogue = *(const cublasLtEpilogue_t *)value;
		break;
	case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
		d->bias = *(void *const *)value;
		break;
	case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER:
		d->aux = *(void *const *)value;
		break;
	case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD:
		break;
	default:
		return CUBLAS_STATUS_INVALID_VALUE;
	}
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t layout_create(cublasLtMatrixLayout_t *out,
				    cudaDataType_t type, uint64_t rows,
				    uint64_t cols, int64_t ld)
{
	struct layout *l = malloc(sizeof(*l));

	if ((uint64_t)ld != rows)
		abort();
	*l = (struct layout){ type, rows, cols };
	*out = (cublasLtMatrixLayout_t)l;
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t layout_destroy(cublasLtMatrixLayout_t layout)
{
	free(layout);
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t preference_create(cublasLtMatmulPreference_t *out)
{
	*out = malloc(1);
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t preference_destroy(cublasLtMatmulPreference_t preference)
{
	free(preference);
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t
preference_set(cublasLtMatmulPreference_t preference,
	       cublasLtMatmulPreferenceAttributes_t what, const void *value,
	       size_t bytes)
{
	(void)preference;
	(void)what;
	(void)value;
	(void)bytes;
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t
heuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
	  cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
	  cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
	  cublasLtMatmulPreference_t preference, int most,
	  cublasLtMatmulHeuristicResult_t *results, int *found)
{
	const struct desc *what = (const struct desc *)desc;
	const int has_aux = what->epilogue != CUBLASLT_EPILOGUE_DEFAULT &&
			    what->epilogue != CUBLASLT_EPILOGUE_BIAS;

	(void)handle;
	(void)a;
	(void)b;
	(void)c;
	(void)preference;
	/* CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD is divisible by 8. */
	if (has_aux && ((const struct layout *)d)->rows % 8)
		return CUBLAS_STATUS_NOT_SUPPORTED;
	memset(results, 0, (size_t)most * sizeof(*results));
	*found = 1;
	return CUBLAS_STATUS_SUCCESS;
}

static float get(const void *at, cudaDataType_t type, uint64_t i)
{
	union {
		uint32_t u;
		float f;
	} x;

	if (type == CUDA_R_32F)
		return ((const float *)at)[i];
	x.u = (uint32_t)((const uint16_t *)at)[i] << 16;
	return x.f;
}

static void put(void *at, cudaDataType_t type, uint64_t i, float value)
{
	union {
		float f;
		uint32_t u;
	} x = { value };

	if (type == CUDA_R_32F)
		((float *)at)[i] = value;
	else
		((uint16_t *)at)[i] = (uint16_t)(
			(x.u + 0x7fff + (x.u >> 16 & 1)) >> 16);
}

static float gelu(float x, int derivative)
{
	const float s = 0.7978845608f, c = 0.044715f;
	float t = tanhf(s * (x + c * x * x * x));

	if (!derivative)
		return 0.5f * x * (1 + t);
	return 0.5f * (1 + t) +
	       0.5f * x * (1 - t * t) * s * (1 + 3 * c * x * x);
}

static float finish(const struct product *p, uint64_t row, uint64_t at,
		    float value)
{
	const struct desc *d = &p->desc;
	cudaDataType_t type = p->ld.type;

	if (d->epilogue == CUBLASLT_EPILOGUE_BIAS ||
	    d->epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS)
		value += get(d->bias, type, row);
	if (d->epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS ||
	    d->epilogue == CUBLASLT_EPILOGUE_GELU_AUX) {
		put(d->aux, type, at, value);
		return gelu(value, 0);
	}
	if (d->epilogue == CUBLASLT_EPILOGUE_DGELU)
		return value * gelu(get(d->aux, type, at), 1);
	return value;
}

/* More than any test's: a peak is measured, whose result nobody reads. */
#define MOST_WORK ((uint64_t)1 << 28)

/* D[i,j] = epilogue(sum A[i,l] B[l,j] + beta C[i,j]), column-major. */
static void run_product(void *arg)
{
	struct product *p = arg;
	uint64_t k = p->desc.turn_a ? p->la.rows : p->la.cols;
	int much = p->ld.rows * p->ld.cols * k > MOST_WORK;

	for (uint64_t j = 0; !much && j < p->ld.cols; j++)
		for (uint64_t i = 0; i < p->ld.rows; i++) {
			uint64_t at = i + j * p->ld.rows;
			float sum = 0;

			for (uint64_t l = 0; l < k; l++)
				sum += get(p->a, p->la.type,
					   p->desc.turn_a ?
						   l + i * p->la.rows :
						   i + l * p->la.rows) *
				       get(p->b, p->lb.type,
					   p->desc.turn_b ?
						   j + l * p->lb.rows :
						   l + j * p->lb.rows);
			if (p->beta != 0)
				sum += p->beta * get(p->c, p->ld.type, at);
			put(p->d, p->ld.type, at, finish(p, i, at, sum));
		}
}

/* Pieces of "device" memory, aligned as the choice was made for. */
static int fits(const void *p, size_t align)
{
	return fake_cuda_is_device(p, 1) && (uintptr_t)p % align == 0;
}

static cublasStatus_t
matmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void *alpha,
       const void *a, cublasLtMatrixLayout_t la, const void *b,
       cublasLtMatrixLayout_t lb, const void *beta, const void *c,
       cublasLtMatrixLayout_t lc, void *d, cublasLtMatrixLayout_t ld,
       const cublasLtMatmulAlgo_t *algo, void *workspace, size_t bytes,
       cudaStream_t stream)
{
	const struct product p = {
		.desc = *(struct desc *)desc, .la = *(struct layout *)la,
		.lb = *(struct layout *)lb, .ld = *(struct layout *)ld,
		.a = a, .b = b, .c = c, .d = d, .beta = *(const float *)beta,
	};

	(void)handle;
	(void)alpha;
	(void)lc;
	(void)algo;
	(void)bytes;
	if (!fits(a, 16) || !fits(b, 16) || !fits(c, 16) || !fits(d, 16) ||
	    (p.desc.aux && !fits(p.desc.aux, 16)) || !fits(workspace, 256) ||
	    fake_cuda_run(stream, run_product, &p, sizeof(p)))
		return CUBLAS_STATUS_INVALID_VALUE;
	return CUBLAS_STATUS_SUCCESS;
}

/* Where the emulated kernels of simt.h are run. */
extern int (*simt_submit)(struct CUstream_st *stream, void (*run)(void *),
			  void *arg);

/* As LAUNCH of kernel.cuh does it: also what went wrong before is told. */
static int submit(struct CUstream_st *stream, void (*run)(void *), void *arg)
{
	cudaLaunchHostFunc(stream, run, arg);
	return (int)cudaGetLastError();
}

int cuda_lt_load(struct cuda_lt *lt, struct pfw_error *err)
{
	(void)err;
	simt_submit = submit;
	*lt = (struct cuda_lt){
		.Create = create,
		.Destroy = destroy,
		.Matmul = matmul,
		.MatmulAlgoGetHeuristic = heuristic,
		.MatmulDescCreate = desc_create,
		.MatmulDescDestroy = desc_destroy,
		.MatmulDescSetAttribute = desc_set,
		.MatmulPreferenceCreate = preference_create,
		.MatmulPreferenceDestroy = preference_destroy,
		.MatmulPreferenceSetAttribute = preference_set,
		.MatrixLayoutCreate = layout_create,
		.MatrixLayoutDestroy = layout_destroy,
	};
	return 0;
}
