/*
 * dnn.h: attention by cuDNN 9, whose C backend is asked for it at run time.
 *
 * An operation graph says in small steps what is computed; cuDNN recognizes it as
 * attention and compiles one kernel for it.
 */
#ifndef PFW_CUDA_DNN_H
#define PFW_CUDA_DNN_H

#include <pipefw/device.h>

/* The first that compiles for a card which is only described to it. */
#define CUDA_DNN_LEAST 90800
#if __has_include(<cudnn_version.h>)
#include <cudnn_version.h>
#if CUDNN_VERSION >= CUDA_DNN_LEAST
#define HAVE_CUDNN 1
#endif
#endif

#ifdef HAVE_CUDNN

#include <cudnn.h>

#define CUDA_DNN_CALLS(X)                                                      \
	X(Create)                                                              \
	X(Destroy)                                                             \
	X(SetStream)                                                           \
	X(GetVersion)                                                          \
	X(GetLastErrorString)                                                  \
	X(BackendCreateDescriptor)                                             \
	X(BackendDestroyDescriptor)                                            \
	X(BackendSetAttribute)                                                 \
	X(BackendGetAttribute)                                                 \
	X(BackendFinalize)                                                     \
	X(BackendExecute)

struct cuda_dnn_lib {
#define X(name) __typeof__(cudnn##name) *name;
	CUDA_DNN_CALLS(X)
#undef X
};

/** The numbers of what a graph reads and writes. */
enum {
	DNN_Q = 1, DNN_K, DNN_V, DNN_OUT, DNN_STATS, DNN_SCALE, DNN_MASKED,
	DNN_GRAD_OUT, DNN_GRAD_Q, DNN_GRAD_K, DNN_GRAD_V, DNN_SUMS, DNN_ONE,
	DNN_TENSORS /* those inside of it have numbers from here on */
};

struct cuda_dnn_shape {
	uint32_t batch, seq, heads, head_size;
	uint32_t backward;
};

#define CUDA_DNN_MADE 160u

struct cuda_dnn_plan {
	struct cuda_dnn_shape shape;
	/* What it is made of lives as long as it does. */
	cudnnBackendDescriptor_t made[CUDA_DNN_MADE];
	uint32_t n_made;
	cudnnBackendDescriptor_t plan; /* NULL: cuDNN has none */
	size_t workspace_bytes; /* at most cuda_dnn_workspace() */
	char why[256]; /* it has none */
};

/** Loads libcudnn.so.9, which stays loaded. */
int cuda_dnn_load(struct cuda_dnn_lib *lib, struct pfw_error *err);

/** What is planned for the workspace of such a plan: engines that add in one order
 *  keep the gradients of scores in bf16, rows of whole tiles, and little else. */
uint64_t cuda_dnn_workspace(const struct cuda_dnn_shape *shape);

/** Fills in @p out, whose shape is set: 0, or -1 and out->why.  @p handle is of
 *  the card; NULL: of a card of these properties (JSON), which may not be here. */
int cuda_dnn_build(const struct cuda_dnn_lib *lib, cudnnHandle_t handle,
		   const char *properties, struct cuda_dnn_plan *out);
void cuda_dnn_destroy(const struct cuda_dnn_lib *lib,
		      struct cuda_dnn_plan *plan);

#endif
#endif
