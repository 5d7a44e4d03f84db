/*
 * cuda.h: the insides of the cuda device.
 *
 * Kernels of the table cannot fail; what CUDA says of a launch is kept by the
 * queue and told by the next call that can.
 */
#ifndef PFW_CUDA_H
#define PFW_CUDA_H

#include <pipefw/device.h>

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include "kernels.h"

/* The end of a queue's workspace, for what must live beside a product. */
#define CUDA_ASIDE ((size_t)512 << 10)

/** cublasLt is large and slow to load: only who computes does so. */
#define CUDA_LT_CALLS(X)                                                       \
	X(Create)                                                              \
	X(Destroy)                                                             \
	X(Matmul)                                                              \
	X(MatmulAlgoGetHeuristic)                                              \
	X(MatmulDescCreate)                                                    \
	X(MatmulDescDestroy)                                                   \
	X(MatmulDescSetAttribute)                                              \
	X(MatmulPreferenceCreate)                                              \
	X(MatmulPreferenceDestroy)                                             \
	X(MatmulPreferenceSetAttribute)                                        \
	X(MatrixLayoutCreate)                                                  \
	X(MatrixLayoutDestroy)

struct cuda_lt {
#define X(name) __typeof__(cublasLt##name) *name;
	CUDA_LT_CALLS(X)
#undef X
};

/** Words in memory that a stream writes and waits for: 0, or a CUresult. */
struct cuda_words {
	int (*write)(cudaStream_t stream, unsigned long long at,
		     unsigned long long value, unsigned flags);
	int (*wait)(cudaStream_t stream, unsigned long long at,
		    unsigned long long value, unsigned flags);
};

struct cuda_chunk;
struct cuda_loan;

struct cuda_device {
	int card;
	uint32_t act;
	struct cuda_lt lt;
	cublasLtHandle_t handle;
	cudaStream_t stream; /* fills new memory */
	struct cuda_chunk *chunks;
	int flushes; /* what others write must be asked for */
	struct cuda_loan *loans; /* other processes' memory */
	struct cuda_words words; /* NULLs: not looked for yet, or none */
	uint32_t graphs; /* PFW_GRAPHS_*, or 0 */
	struct cuda_dnn *dnn; /* does attention of one shape; NULL: our own do */
};

struct cuda_plan;
struct cuda_dnn;

struct cuda_queue {
	struct cuda_device *device;
	cudaStream_t stream;
	void *workspace; /* PFW_CUDA_WORKSPACE, then CUDA_ASIDE */
	struct cuda_plan *plans;
	const char *failed_call; /* NULL: all is well */
	cudaError_t failed;
};

/** -errno and a sentence for what CUDA says of a call; 0 for success. */
int cuda_result(const char *call, cudaError_t e, struct pfw_error *err);
/** The same for a call on a queue: what a kernel could not say goes first. */
int cuda_answer(const struct cuda_queue *q, const char *call, cudaError_t e,
		struct pfw_error *err);
/** Keeps the first error of a queue. */
void cuda_note(struct cuda_queue *q, const char *call, int e);

/* memory.c */
int cuda_alloc(void *device, size_t bytes, void **out, struct pfw_error *err);
void cuda_free(void *device, void *ptr);
void cuda_free_all(struct cuda_device *dev);
/** Where the allocation of CUDA's that a piece is part of begins. */
void *cuda_allocation_of(const struct cuda_device *dev, const void *ptr);
int cuda_pin(void *device, void *ptr, size_t bytes, struct pfw_error *err);
void cuda_unpin(void *device, void *ptr);

/* mark.c: 1: a profiler has told NVTX where it is */
uint32_t cuda_profiled(void);
void cuda_mark(void *device, const char *name);

/* share.c */
int cuda_share(void *device, void *ptr, size_t bytes, int *dmabuf,
	       uint64_t *offset, struct pfw_error *err);
int cuda_arrived(void *device, struct pfw_error *err);

/* lend.c */
int cuda_lend(void *device, void *ptr, struct pfw_lent *out,
	      struct pfw_error *err);
int cuda_borrow(void *device, const struct pfw_lent *from, int ours, void **out,
		int *in_place, struct pfw_error *err);
void cuda_give_back(void *device, void *ptr);

/* words.c */
int cuda_raise(void *queue, uint64_t *word, uint64_t value,
	       struct pfw_error *err);
int cuda_hold(void *queue, uint64_t *word, uint64_t value,
	      struct pfw_error *err);

/* driver.c */
/** -ENOTSUP: the driver or the card has none. */
int cuda_find_words(int card, struct cuda_words *out);
/** A dmabuf of whole pages of the card's memory, or -1. */
int cuda_export(uintptr_t first, size_t bytes);

/* queue.c */
int cuda_open_queue(void *device, void **queue, struct pfw_error *err);
void cuda_close_queue(void *queue);
int cuda_copy(void *queue, void *dst, const void *src, size_t bytes,
	      uint32_t direction, struct pfw_error *err);
int cuda_zero(void *queue, void *dst, size_t bytes, struct pfw_error *err);
int cuda_sync(void *queue, struct pfw_error *err);
int cuda_open_event(void *device, void **event, struct pfw_error *err);
void cuda_close_event(void *event);
int cuda_record(void *queue, void *event, struct pfw_error *err);
int cuda_query(void *event, struct pfw_error *err);
int cuda_follow(void *queue, void *event, struct pfw_error *err);
int cuda_elapsed(void *from, void *to, uint64_t *ns, struct pfw_error *err);
void *cuda_native(void *queue);

/* graph.c */
int cuda_begin_graph(void *queue, struct pfw_error *err);
int cuda_end_graph(void *queue, void **graph, struct pfw_error *err);
int cuda_run_graph(void *queue, void *graph, struct pfw_error *err);
void cuda_close_graph(void *graph);

/* lt.c */
int cuda_lt_load(struct cuda_lt *lt, struct pfw_error *err);

/* plan.c: products as cublasLt has them, described once for each shape */
struct cuda_shape {
	uint32_t kind;     /* PFW_GEMM_* */
	uint32_t epilogue; /* PFW_EPI_BIAS, _GELU, _DGELU that cublasLt does */
	uint32_t m, n, k;
	uint32_t act, c_dtype;
};

struct cuda_operands {
	const void *a, *b, *add; /* add: what is added to the product, or NULL */
	void *out;
	const void *bias; /* of c_dtype */
	void *aux;
};

/** 0, or -1: cublasLt has no way to do that. */
int cuda_multiply(struct cuda_queue *q, const struct cuda_shape *shape,
		  const struct cuda_operands *with);
void cuda_free_plans(struct cuda_queue *q);

/* dnn.c */
/** Attention of these sizes, with its workspace, in bf16; what is not there, and
 *  what cuDNN does not do, is refused. */
int cuda_dnn_open(struct cuda_device *dev, const struct pfw_attention *a,
		  struct cuda_dnn **out, struct pfw_error *err);
/** The most that the workspace takes, known without a card. */
uint64_t cuda_dnn_bytes(const struct pfw_attention *a);
/** Is its library here? */
int cuda_dnn_there(void);
size_t cuda_dnn_version(const struct cuda_dnn *dnn);
/** 0, or -1: it is not of those sizes. */
int cuda_dnn_attention(struct cuda_queue *q, const struct pfw_attention *a,
		       int backward);
void cuda_dnn_close(struct cuda_dnn *dnn);

/* gemm.c */
void cuda_gemm(void *queue, const struct pfw_gemm *g);
double cuda_peak(void *queue);

/* table.c */
extern const struct pfw_kernels cuda_kernels;

#endif
