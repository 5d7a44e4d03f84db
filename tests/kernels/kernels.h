/*
 * kernels.h: what the kernel tests share.
 *
 * Every check runs on every device plugin that opens, the cpu device on each of
 * its kernel paths; references compute in double on the numbers the device
 * really got (rounded to its types).
 */
#ifndef PFW_TESTS_KERNELS_H
#define PFW_TESTS_KERNELS_H

#include <pipefw/device.h>
#include <stddef.h>

#define MOST_THREADS 5

/** One opened device on one of its paths. */
struct path {
	char label[256];
	const struct pfw_device_ops *ops;
	void *device, *queue;
	/** [threads] the same with more of them, from 2 on. */
	void *wide_device[MOST_THREADS + 1], *wide_queue[MOST_THREADS + 1];
	struct pfw_device_props props;
	uint32_t policy; /**< the dtype it was opened for */
	const struct pfw_kernels *k;
};

/** Opens all there are; prints what is left out and why. */
size_t paths_open(struct path *paths, size_t max);
void paths_close(struct path *paths, size_t n);

/** Device memory between two guards, and its value as doubles. */
struct buf {
	struct path *path;
	unsigned char *base;
	void *ptr;    /**< on the device */
	double *host; /**< what was put in; after buf_get what is there */
	size_t n;
	uint32_t dtype;
};

/** Every value follows from this, which the program prints. */
extern uint64_t test_seed;
double random_uniform(void); /**< [-1, 1) */
uint32_t random_below(uint32_t n);

/** Random values of this size. */
struct buf buf_random(struct path *p, size_t n, uint32_t dtype, double scale);
/** Random values of few bits, so that bf16 holds them; @p scale is a power of
 *  two. */
struct buf buf_coarse(struct path *p, size_t n, uint32_t dtype, double scale);
/** NaN everywhere (integers: -1). */
struct buf buf_poison(struct path *p, size_t n, uint32_t dtype);
/** These values. */
struct buf buf_from(struct path *p, size_t n, uint32_t dtype,
		    const double *values);
/** Token numbers below @p limit. */
struct buf buf_tokens(struct path *p, size_t n, uint32_t limit);
/** Brings the values back; a damaged guard is a failure. */
void buf_get(struct buf *b);
void buf_free(struct buf *b);

/** ||got - want|| / ||want|| under the bound that goes with the type of the
 *  activations, and the worst element against the root mean square under 30
 *  times that. */
void check_close(const struct path *p, const char *what, const double *got,
		 const double *want, size_t n, double bound_fp32,
		 double bound_bf16);
void check_true(const struct path *p, const char *what, int ok);

/* References, in double. */
double ref_gelu(double x);
double ref_gelu_slope(double x);
/** The product alone. */
void ref_product(uint32_t kind, uint32_t m, uint32_t n, uint32_t k,
		 const double *a, const double *b, double *c);
void ref_layernorm(const double *x, const double *w, const double *b,
		   size_t rows, size_t c, double *out, double *mean,
		   double *rstd);
/** Sums go into dw and db, which the caller has set. */
void ref_layernorm_backward(const double *x, const double *w,
			    const double *dout, size_t rows, size_t c,
			    double *dx, double *dw, double *db);
void ref_attention(const double *qkv, size_t batch, size_t seq, size_t heads,
		   size_t size, double *out, double *stats);
void ref_attention_backward(const double *qkv, const double *dout,
			    size_t batch, size_t seq, size_t heads, size_t size,
			    double *dqkv);
/** Loss of the rows; @p grad (may be NULL) = p - onehot. */
double ref_classifier(const double *logits, const int32_t *targets,
		      size_t rows, size_t vocab, double *grad);

void *need(void *p); /**< ends the program when out of memory */
double *doubles(size_t n);
int32_t *as_tokens(const struct buf *b); /**< to be freed */

/* The checks, one file each. */
void check_references(void);
void check_exp(void);
void check_gemm(struct path *p);
void check_gelu(struct path *p);
void check_layernorm(struct path *p);
void check_bias(struct path *p);
void check_embed(struct path *p);
void check_classifier(struct path *p);
void check_attention(struct path *p);
void check_update(struct path *p);
void check_rounding(struct path *p);
void check_peak(struct path *p);
void check_threads(struct path *p);

#endif
