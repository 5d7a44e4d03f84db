/*
 * pipefw/device.h: the device interface: memory, queues and kernels as tables.
 *
 * Stages are written once over this header.  Every call that computes takes a
 * queue, is done in the order of the queue, and may return before it is done;
 * on the cpu a call is done when it returns.  Kernels never allocate and never
 * fail: what could fail (shapes out of range) is refused by the stage, by its
 * options when it is opened and by the device's limits when it is asked.  All
 * pointers are in the device's memory unless said otherwise and
 * aligned to PFW_ALIGN.
 *
 * Numbers: `act` is the element type of activations and of their gradients: that
 * of the policy the device is opened for (props.act_dtype says it again), so
 * that sizes of buffers and messages are known before any device.  Weights come
 * in act for GEMMs unless the device packs them, and in fp32 for everything
 * else; parameters' gradients, statistics and optimizer state are fp32.
 *
 * The order of every sum depends on the shape alone: not on threads, cache, p,
 * schedule or transport.
 */
#ifndef PIPEFW_DEVICE_H
#define PIPEFW_DEVICE_H

#include <pipefw/plugin.h>

PFW_BEGIN_DECLS

/** C[m,n] = A B^T: A [m,k], B [n,k]. */
#define PFW_GEMM_NT 0u
/** C[m,n] = A B:   A [m,k], B [k,n]. */
#define PFW_GEMM_NN 1u
/** C[m,n] = A^T B: A [k,m], B [k,n]. */
#define PFW_GEMM_TN 2u

/** What happens to the product on its way to memory: BIAS, then at most one of
 *  the others. */
#define PFW_EPI_BIAS 1u       /**< += bias[n] */
#define PFW_EPI_GELU 2u       /**< notes x = value; value = gelu(x) */
#define PFW_EPI_DGELU 4u      /**< value *= gelu'(x) of the noted x */
#define PFW_EPI_RESIDUAL 8u   /**< += residual[m,n] */
#define PFW_EPI_ACCUMULATE 16u /**< += C as it was */

/** GELU here is the tanh form: 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
 *  (Hendrycks and Gimpel, arXiv 1606.08415.) */

/** One matrix product; leading dimensions are those of packed rows. */
struct pfw_gemm {
	size_t size;
	uint32_t kind;     /**< PFW_GEMM_* */
	uint32_t epilogue; /**< OR of PFW_EPI_* */
	uint32_t m, n, k;
	uint32_t c_dtype;  /**< PFW_F32 for gradients of weights and for logits
				that are given out, else act */
	const void *a;     /**< act */
	const void *b;     /**< act; unused where b_packed is given */
	const void *b_packed; /**< from pack(), or NULL */
	void *c;
	const float *bias;     /**< [n] */
	void *aux;             /**< act [m,n]: what GELU notes, element by
				    element, for DGELU: x, or gelu'(x), as the
				    device has it */
	const void *residual;  /**< act [m,n]; may be c */
};

/** Multi-head causal attention on packed rows, heads * head_size = C. */
struct pfw_attention {
	size_t size;
	uint32_t batch, seq, heads, head_size;
	const void *qkv;      /**< act [batch, seq, 3, heads, head_size] */
	void *out;            /**< act [batch, seq, heads, head_size] */
	float *stats;         /**< [batch, heads, seq]: log of the sum of exp of
				   the scaled scores; written forward */
	/* backward only */
	const void *grad_out; /**< act, like out */
	void *grad_qkv;       /**< act, like qkv; overwritten */
};

/** One AdamW update (Loshchilov and Hutter, arXiv 1711.05101). */
struct pfw_adamw {
	size_t size;
	uint64_t n;         /**< elements */
	float *weight;      /**< fp32 master */
	void *weight_act;   /**< act copy, or NULL */
	const float *grad;
	float *m, *v;       /**< first and second moment */
	float lr, beta1, beta2, epsilon, weight_decay;
	float correction1, correction2; /**< 1 - beta^t */
	const float *grad_scale; /**< clip factor, in device memory */
	const int32_t *skip;     /**< not 0: leave everything as it is */
};

/** One array of several. */
struct pfw_vector {
	const float *x;
	uint64_t n;
};

/** What follows from the squares of a whole gradient, in device memory. */
struct pfw_clip {
	size_t size;
	const double *squares; /**< [count]: summed one after the other */
	uint32_t count;
	uint32_t reserved;
	const double *loss;
	double limit;     /**< of the norm; 0: none */
	double epsilon;
	float *scale;     /**< of gradients: limit / (norm + epsilon) where that
			       is below 1, else 1 */
	int32_t *skip;    /**< 1: loss or norm is not finite, else 0 */
};

/** The kernels.  (optional) ones may be NULL and have a stated replacement. */
struct pfw_kernels {
	size_t size;

	void (*gemm)(void *queue, const struct pfw_gemm *g);
	/** (optional)  Bytes of a weight [rows, cols] packed as B of a GEMM of
	 *  this kind; 0: this device does not pack it.  @p queue may be NULL:
	 *  asked by who only plans. */
	size_t (*pack_bytes)(void *queue, uint32_t kind, uint32_t rows,
			     uint32_t cols);
	/** (with pack_bytes)  @p weight is fp32 [rows, cols]. */
	void (*pack)(void *queue, uint32_t kind, uint32_t rows, uint32_t cols,
		     const float *weight, void *packed);
	/** bias[n] (+)= column sums of dy [rows, n] (act). */
	void (*bias_backward)(void *queue, float *dbias, const void *dy,
			      uint32_t rows, uint32_t n, int accumulate);

	/** out[b,t,:] = wte[token[b,t],:] + wpe[t,:];  out is act [batch,seq,c],
	 *  wte and wpe fp32. */
	void (*embed_forward)(void *queue, void *out, const int32_t *tokens,
			      const float *wte, const float *wpe,
			      uint32_t batch, uint32_t seq, uint32_t c);
	/** dwte [vocab,c] and dwpe [context,c]: rows that no token names are set
	 *  to 0 unless @p accumulate; sums run in the order of positions. */
	void (*embed_backward)(void *queue, float *dwte, float *dwpe,
			       const void *dout, const int32_t *tokens,
			       uint32_t batch, uint32_t seq, uint32_t c,
			       uint32_t vocab, uint32_t context, int accumulate);

	/** out = (x - mean) * rstd * weight + bias per row, epsilon 1e-5;
	 *  x, out act [rows,c]; mean, rstd fp32 [rows]. */
	void (*layernorm_forward)(void *queue, void *out, float *mean,
				  float *rstd, const void *x,
				  const float *weight, const float *bias,
				  uint32_t rows, uint32_t c);
	/** dx = residual (act, or NULL for 0) + d(layernorm)/dx * dout; dx may
	 *  be residual.  dweight and dbias (+)= sums over rows in their order. */
	void (*layernorm_backward)(void *queue, void *dx, float *dweight,
				   float *dbias, const void *dout,
				   const void *residual, const void *x,
				   const float *mean, const float *rstd,
				   const float *weight, uint32_t rows,
				   uint32_t c, int accumulate);

	/** Scores are scaled by 1/sqrt(head_size). */
	void (*attention_forward)(void *queue, const struct pfw_attention *a);
	void (*attention_backward)(void *queue, const struct pfw_attention *a);

	/** Softmax and cross entropy on logits (act [rows,vocab]): *loss (fp64)
	 *  += sum over rows of -log p[target], rows in order; if @p scale is not
	 *  0 the logits become (p - onehot) * scale in place. */
	void (*classifier)(void *queue, void *logits, const int32_t *targets,
			   uint32_t rows, uint32_t vocab, float scale,
			   double *loss);

	/** *out (fp64) = sum of x[i]^2 in a fixed order. */
	void (*sum_squares)(void *queue, const float *x, uint64_t n, double *out);
	/** dst[i] = a[i] + b[i]; dst may be a. */
	void (*add)(void *queue, float *dst, const float *a, const float *b,
		    uint64_t n);
	void (*adamw)(void *queue, const struct pfw_adamw *a);
	/** dst (dtype) = src (fp32), element by element. */
	void (*convert)(void *queue, void *dst, uint32_t dtype, const float *src,
			uint64_t n);

	/** (optional: its peak is not known)  Enqueues the multiply-adds that
	 *  gemm is made of, at their fastest, for a fraction of a millisecond; gives
	 *  how many FLOP these are (multiply and add are 2). */
	double (*peak)(void *queue);

	/** (optional, both: weights are rounded to nearest alone)  A weight in
	 *  act, each element the number above or below at random, so that its
	 *  mean is the weight.  Which one depends on the key, row and column
	 *  alone: packed forms and the copy agree, for any number of threads. */
	void (*copy_at_random)(void *queue, void *copy, uint32_t rows,
			       uint32_t cols, const float *weight,
			       uint32_t key);
	/** (with pack, likewise) */
	void (*pack_at_random)(void *queue, uint32_t kind, uint32_t rows,
			       uint32_t cols, const float *weight, void *packed,
			       uint32_t key);

	/* All parameters of a rank in a few launches. */
	/** (optional: sum_squares for each)  out[i], to the bit, is what
	 *  sum_squares gives of x[i]. */
	void (*sum_squares_of)(void *queue, const struct pfw_vector *x,
			       uint32_t count, double *out);
	/** (optional: adamw for each)  Updates that differ in n, weight_decay and
	 *  the pointers to weights, gradients and moments alone. */
	void (*adamw_of)(void *queue, const struct pfw_adamw *a, uint32_t count);
	/** (optional: the host decides, and waits for the device to do so) */
	void (*clip)(void *queue, const struct pfw_clip *c);

	/** (optional, with pack: adamw, then pack for each)  Updates a weight
	 *  [rows, cols], and packs what it became while it is at hand: packed[0]
	 *  for PFW_GEMM_NT and packed[1] for PFW_GEMM_NN; all to the bit what
	 *  adamw and pack make of it. */
	void (*adamw_packed)(void *queue, const struct pfw_adamw *a,
			     uint32_t rows, uint32_t cols,
			     void *const packed[2]);
};

/** What a device cannot do, known before it is opened; 0: it has no such limit. */
struct pfw_device_limits {
	size_t size;
	uint32_t width;     /**< columns of layernorm */
	uint32_t head_size; /**< of attention */
	uint32_t seq;       /**< of attention */
	uint32_t rows;      /**< batch * seq of a call */
	uint64_t head_rows; /**< heads * rows */
	uint32_t nearest;   /**< 1: nothing is rounded at random */
	uint32_t reserved;
};

/** props.graphs: where that is faster, which is measured; or wherever it can. */
#define PFW_GRAPHS_AUTO 1u
#define PFW_GRAPHS_ALWAYS 2u

struct pfw_device_props {
	size_t size;
	uint32_t memory;    /**< one PFW_MEM_* bit */
	uint32_t act_dtype; /**< the policy that it was opened for */
	uint32_t graphs;    /**< PFW_GRAPHS_*: whether calls are to be recorded
				 and done again as one; 0: they cannot be */
	uint32_t profiled;  /**< 1: a profiler listens to mark() */
	char path[128];     /**< the kernel path in words: "avx512, OpenBLAS
				 0.3.21"; equal words, equal bits */
	uint64_t queue_bytes; /**< host memory that a queue takes, with its
				   threads; what kernels need for ordinary
				   shapes */
	char remark[256];   /**< what an option that leaves it to the device came
				 to, for the run's header; "": nothing to say */
};

/** How a rank opens its device. */
struct pfw_device_info {
	size_t size;
	uint32_t rank;
	uint32_t dtype;   /**< policy: PFW_F32 or PFW_BF16 */
	uint32_t threads; /**< cores this rank may use, >= 1 */
	uint32_t index;   /**< of this rank among its host's, from 0: they
			       take its cards in turn */
	uint64_t spin_ns; /**< how long a thread may look for work before it
			       sleeps; 0: cores are shared */
	const struct pfw_attention *attention; /**< what it will be asked for in
			       training: its sizes; NULL: none */
};

/** Memory of a device, in words that another process of the host understands; the
 *  device's own. */
struct pfw_lent {
	uint8_t bytes[128];
};

#define PFW_COPY_IN 1u  /**< host to device */
#define PFW_COPY_OUT 2u /**< device to host */
#define PFW_COPY_ON 3u  /**< device to device */

struct pfw_device_ops {
	size_t size;

	/** (optional: it can always run)  0, or -ENODEV and why. */
	int (*probe)(char *why, size_t len);
	int (*open)(const struct pfw_values *opt,
		    const struct pfw_device_info *info, void **device,
		    struct pfw_device_props *props, struct pfw_error *err);
	void (*close)(void *device);

	int (*alloc)(void *device, size_t bytes, void **out,
		     struct pfw_error *err); /**< zeroed */
	void (*free)(void *device, void *ptr);

	int (*open_queue)(void *device, void **queue, struct pfw_error *err);
	void (*close_queue)(void *queue);
	/** Host memory of PFW_COPY_IN and _OUT must live until sync(). */
	int (*copy)(void *queue, void *dst, const void *src, size_t bytes,
		    uint32_t direction, struct pfw_error *err);
	int (*zero)(void *queue, void *dst, size_t bytes, struct pfw_error *err);
	/** All that was queued is done. */
	int (*sync)(void *queue, struct pfw_error *err);

	/** (all four NULL where every call is done when it returns) */
	int (*open_event)(void *device, void **event, struct pfw_error *err);
	void (*close_event)(void *event);
	int (*record)(void *queue, void *event, struct pfw_error *err);
	/** 1: what was recorded is done; 0: not yet; < 0: it failed. */
	int (*query)(void *event, struct pfw_error *err);

	/** The table lives as long as the plugin. */
	const struct pfw_kernels *(*kernels)(void *device);

	/** (optional)  Thread-local set-up (rounding, tile state), called once by
	 *  each thread that will use a queue of this device. */
	int (*enter_thread)(void *device, struct pfw_error *err);

	/* (with events) */
	/** What is queued from now on begins after what was recorded, of
	 *  whatever queue of this kind of device in this process. */
	int (*follow)(void *queue, void *event, struct pfw_error *err);
	/** Between two records that are done. */
	int (*elapsed)(void *from, void *to, uint64_t *ns,
		       struct pfw_error *err);

	/** (optional: it has none)  What the queue is to its vendor's library: a
	 *  cudaStream_t; for transports that are ordered on it. */
	void *(*native)(void *queue);
	/** (optional, both: copies are as fast from any memory)  Host memory that
	 *  copies to and from will not be held up by. */
	int (*pin)(void *device, void *ptr, size_t bytes,
		   struct pfw_error *err);
	void (*unpin)(void *device, void *ptr);

	/** PFW_MEM_* bit of what alloc() gives, known before it is opened; 0:
	 *  PFW_MEM_HOST. */
	uint32_t memory;
	/** (optional: none)  A refusal costs no rank that way; and a process that
	 *  starts ranks must not have opened a device before. */
	const struct pfw_device_limits *limits;

	/** (with props.profiled)  Begins a range of this name in what the vendor's
	 *  profiler shows of the calling thread; NULL: ends the last one. */
	void (*mark)(void *device, const char *name);

	/** (optional: nobody else reaches its memory)  May another device of the
	 *  machine, a network adapter, write into this memory of alloc() and read
	 *  it?  0: yes, as @p offset bytes into the dmabuf of this descriptor,
	 *  which is the caller's to close; or, where *dmabuf is -1, only as far as
	 *  the drivers of the two know of each other. */
	int (*share)(void *device, void *ptr, size_t bytes, int *dmabuf,
		     uint64_t *offset, struct pfw_error *err);
	/** (optional: nothing is to be done)  What others have written into its
	 *  memory so far is seen by what is queued from now on. */
	int (*arrived)(void *device, struct pfw_error *err);

	/* (optional, all three: its memory is this process's alone) */
	/** For a device of the same plugin in another process of this host, or in
	 *  this one; memory of alloc(), as long as it is not freed. */
	int (*lend)(void *device, void *ptr, struct pfw_lent *out,
		    struct pfw_error *err);
	/** Where lent memory is for this device; @p ours: this process has lent it.
	 *  *in_place is 1 where kernels use it as they use this device's own, and 0
	 *  where it is to be copied from, with PFW_COPY_ON.  -ENOTSUP: not on this
	 *  machine. */
	int (*borrow)(void *device, const struct pfw_lent *from, int ours,
		      void **out, int *in_place, struct pfw_error *err);
	/** Before its owner frees it. */
	void (*give_back)(void *device, void *ptr);

	/* (optional, both: queues are ordered by hosts alone)  @p word is of memory
	 * that pin() has taken, which other processes' devices may know too.
	 * -ENOTSUP: not on this machine. */
	/** The word becomes @p value once all that was queued so far is done. */
	int (*raise)(void *queue, uint64_t *word, uint64_t value,
		     struct pfw_error *err);
	/** What is queued from now on begins when the word is @p value or more.
	 *  Who is to raise it must have been told so already, see bind_queue() in
	 *  transport.h. */
	int (*hold)(void *queue, uint64_t *word, uint64_t value,
		    struct pfw_error *err);

	/* (with props.graphs) */
	/** Kernels that this thread enqueues from now on are recorded with their
	 *  arguments, and not done; no other call on the queue until end_graph().
	 *  Each has been done before, so that what it needs is there. */
	int (*begin_graph)(void *queue, struct pfw_error *err);
	/** Where this fails, nothing was done, and the queue is as it was. */
	int (*end_graph)(void *queue, void **graph, struct pfw_error *err);
	/** Enqueues what was recorded, as often as wanted. */
	int (*run_graph)(void *queue, void *graph, struct pfw_error *err);
	/** Its queue has been waited for. */
	void (*close_graph)(void *graph);

	/** (optional: none)  Memory of its own, see `memory`, that it keeps for
	 *  itself when it is opened so, with the three queues of a rank; asked
	 *  before it is. */
	uint64_t (*own_bytes)(const struct pfw_values *opt,
			      const struct pfw_device_info *info);
};

/** What a stage is given. */
struct pfw_device {
	const struct pfw_kernels *kernels;
	struct pfw_device_props props;
};

PFW_END_DECLS

#endif
