/*
 * fake_dnn.h: a stand-in for libcudnn's backend, on the stand-in for libcudart.
 *
 * Descriptors keep their attributes, by cuDNN's rules; a plan does what its graph
 * says, operation by operation, where the stream comes to it.  FAKE_CUDA_FAIL has
 * its calls too.
 */
#ifndef PFW_TESTS_FAKE_DNN_H
#define PFW_TESTS_FAKE_DNN_H

#include "dnn.h"

#ifdef HAVE_CUDNN

#include <stdbool.h>

#define FAKE_DNN_OPS 32
#define FAKE_DNN_TENSORS 64

struct fake_attribute {
	struct fake_attribute *next;
	cudnnBackendAttributeName_t name;
	int64_t n;
	char value[];
};

struct fake_tensor {
	int64_t uid, dim[4], stride[4];
	cudnnDataType_t type;
	bool is_virtual, by_value;
};

/* Tensors are by their places in the graph; -1: it has none. */
struct fake_op {
	cudnnBackendDescriptorType_t type;
	int mode; /* of pointwise, or what a reduction does */
	int64_t axis;
	int x, b, t, y;
};

struct fake_graph {
	struct fake_tensor tensor[FAKE_DNN_TENSORS];
	int n_tensors, n_ops;
	struct fake_op op[FAKE_DNN_OPS];
};

struct fake_desc {
	cudnnBackendDescriptorType_t type;
	bool final;
	struct fake_attribute *attributes;
	struct fake_graph *graph; /* of a graph */
	struct fake_desc *of;     /* the graph that a configuration is for */
	int engine;               /* of a configuration, or the engine itself */
};

/** Does a graph: what lies at each tensor's place; virtual ones are NULL. */
void fake_dnn_run(const struct fake_graph *g, void *const *at);
/** How far the last element lies from the first, and one more. */
int64_t fake_dnn_span(const struct fake_tensor *t);
const void *fake_dnn_get(const struct fake_desc *d,
			 cudnnBackendAttributeName_t name, int64_t *n);
/** What is read was made before, and all sizes fit: or 0 and -1. */
int fake_dnn_read_graph(struct fake_desc *d);

#endif
#endif
