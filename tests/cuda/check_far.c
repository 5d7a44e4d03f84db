/* The last blocks of grids over more than 2^32 elements, of which memory that is
 * never touched takes no place: an index of 32 bits would miss the end. */
#include "cuda/grids.h"

#include "cuda/kernels.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static void *sparse(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? need(NULL) : p;
}

static uint16_t bf16_of(float x)
{
	uint32_t u;

	memcpy(&u, &x, sizeof(u));
	return (uint16_t)(u >> 16);
}

static void far_elements(void)
{
	const uint64_t n = ((uint64_t)1 << 32) + 5;
	float *a = sparse(n * sizeof(*a)), *b = sparse(n * sizeof(*b));
	uint16_t *half = sparse(n * sizeof(*half));

	a[n - 1] = 1.5f;
	b[n - 1] = 2.0f;
	a[n - 6] = 4.0f;
	pfw_cuda_add(NULL, b, a, b, n);
	check_true(NULL, "far add", b[n - 1] == 3.5f && b[n - 6] == 4.0f);
	pfw_cuda_convert(NULL, half, PFW_BF16, a, n);
	check_true(NULL, "far convert", half[n - 1] == bf16_of(1.5f) &&
						half[n - 6] == bf16_of(4.0f));
	munmap(a, n * sizeof(*a));
	munmap(b, n * sizeof(*b));
	munmap(half, n * sizeof(*half));
}

static void far_rows(void)
{
	const uint32_t rows = 1u << 20, c = 4104;
	const size_t n = (size_t)rows * c, last = n - c;
	uint16_t *x = sparse(2 * n), *out = sparse(2 * n);
	float *mean = sparse(4 * rows), *rstd = sparse(4 * rows);
	float *w = sparse(4 * c), *b = sparse(4 * c);
	size_t bytes = pfw_cuda_layernorm_backward_workspace(rows, c);
	void *work = sparse(bytes);

	for (uint32_t i = 0; i < c; i++) {
		x[last + i] = bf16_of(i % 2 ? 1.0f : -1.0f);
		w[i] = 1.0f;
		b[i] = 2.0f;
	}
	pfw_cuda_layernorm_forward(NULL, PFW_BF16, out, mean, rstd, x, w, b,
				   rows, c);
	check_true(NULL, "far layernorm", out[n - 1] == bf16_of(3.0f) &&
						  out[last] == bf16_of(1.0f));
	pfw_cuda_layernorm_backward(NULL, PFW_BF16, out, b, w, x, NULL, x, mean,
				    rstd, w, rows, c, 0, work);
	check_true(NULL, "far layernorm's gradient",
		   w[c - 1] == 1.0f && (out[n - 1] & 0x7fff) < 0x3c00);
	bytes = pfw_cuda_bias_backward_workspace(rows, c);
	pfw_cuda_bias_backward(NULL, PFW_BF16, b, x, rows, c, 0, work);
	check_true(NULL, "far bias", b[c - 1] == 1.0f);
	munmap(x, 2 * n);
	munmap(out, 2 * n);
}

static void far_logits(void)
{
	const uint32_t rows = 1u << 17, vocab = 50257;
	const size_t n = (size_t)rows * vocab;
	uint16_t *x = sparse(2 * n);
	int32_t *targets = sparse(4 * rows);
	double *work = sparse(pfw_cuda_classifier_workspace(rows)), loss = 0.0;

	/* Of its grid the last block has the first row: all the last ones. */
	targets[0] = (int32_t)vocab - 1;
	pfw_cuda_classifier(NULL, PFW_BF16, x, targets, rows, vocab, 1.0f, &loss,
			    work);
	check_true(NULL, "far loss", fabs(loss - log(50257.0)) < 1e-6);
	check_true(NULL, "far logits", x[vocab - 1] == bf16_of(-1.0f));
	munmap(x, 2 * n);
}

static void far_heads(void)
{
	const uint32_t batch = 128, seq = 2048, heads = 64, size = 128;
	const size_t c = heads * size, n = (size_t)batch * seq * c;
	const size_t head = (n / batch) * (batch - 1) + c - size;
	uint16_t *qkv = sparse(6 * n), *out = sparse(2 * n);
	uint16_t *dqkv = sparse(6 * n);
	float *stats = sparse(4 * (size_t)batch * heads * seq);
	float *dots = sparse(pfw_cuda_attention_backward_workspace(batch, seq,
								   heads));
	struct pfw_attention a = {
		.size = sizeof(a), .batch = batch, .seq = seq, .heads = heads,
		.head_size = size, .qkv = qkv, .out = out, .stats = stats,
		.grad_out = out, .grad_qkv = dqkv,
	};
	const size_t first = 3 * n / batch * (batch - 1) + 3 * c - size;

	/* The value of position 0 of the last head; scores are all 0. */
	qkv[first] = bf16_of(8.0f);
	pfw_cuda_attention_forward(NULL, PFW_BF16, &a);
	check_true(NULL, "far attention",
		   out[head] == bf16_of(8.0f) &&
			   out[head + 3 * c] == bf16_of(2.0f));
	pfw_cuda_attention_backward(NULL, PFW_BF16, &a, dots);
	check_true(NULL, "far attention's gradient",
		   dots[((size_t)batch * heads - 1) * seq] == 64.0f);
	munmap(qkv, 6 * n);
	munmap(out, 2 * n);
	munmap(dqkv, 6 * n);
}

void check_far(void)
{
	simt_last_blocks = 2;
	far_elements();
	simt_last_blocks = 1;
	far_rows();
	far_logits();
	far_heads();
	simt_last_blocks = 0;
}
