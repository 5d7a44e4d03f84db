/*
 * Where the time of a gpt2 step goes on the cpu device, kernel by kernel:
 *
 *   make tests/stages/gpt2_profile
 *   ./run tests/stages/gpt2_profile [BATCH SEQ LAYERS HEADS HIDDEN VOCAB STEPS
 *                                    fp32|bf16 THREADS]
 *
 * A step is one micro-batch forward and backward, without the update.  Best of
 * STEPS; a stage is nothing but kernel calls, so their sum is the step.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "rig.h"

#define MAX_LINES 64

/* One kernel at one shape. */
struct line {
	char name[48];
	uint32_t calls;
	uint64_t ns, best;
	double flops; /* of one call */
};

static struct line lines[MAX_LINES];
static uint32_t n_lines;
static const struct pfw_kernels *inner;

static struct line *find_line(const char *name)
{
	for (uint32_t i = 0; i < n_lines; i++)
		if (!strcmp(lines[i].name, name))
			return &lines[i];
	if (n_lines == MAX_LINES)
		abort();
	snprintf(lines[n_lines].name, sizeof(lines[0].name), "%s", name);
	lines[n_lines].best = UINT64_MAX;
	return &lines[n_lines++];
}

static void count(const char *name, uint64_t start, double flops)
{
	uint64_t end = pfw_now();
	struct line *l = find_line(name);

	l->calls++;
	l->ns += end - start;
	l->flops = flops;
}

static void timed_gemm(void *queue, const struct pfw_gemm *g)
{
	static const char *const kinds[] = { "NT", "NN", "TN" };
	char name[48];
	uint64_t start = pfw_now();

	inner->gemm(queue, g);
	snprintf(name, sizeof(name), "gemm %s %u,%u,%u %s%s%s%s%s",
		 kinds[g->kind], g->m, g->n, g->k,
		 g->epilogue & PFW_EPI_BIAS ? "b" : "",
		 g->epilogue & PFW_EPI_GELU ? "g" : "",
		 g->epilogue & PFW_EPI_DGELU ? "d" : "",
		 g->epilogue & PFW_EPI_RESIDUAL ? "r" : "",
		 g->epilogue & PFW_EPI_ACCUMULATE ? "+" : "");
	count(name, start, 2.0 * g->m * g->n * g->k);
}

static void timed_bias(void *queue, float *dbias, const void *dy, uint32_t rows,
		       uint32_t n, int accumulate)
{
	uint64_t start = pfw_now();

	inner->bias_backward(queue, dbias, dy, rows, n, accumulate);
	count("bias_backward", start, 0);
}

static void timed_embed(void *queue, void *out, const int32_t *tokens,
			const float *wte, const float *wpe, uint32_t batch,
			uint32_t seq, uint32_t c)
{
	uint64_t start = pfw_now();

	inner->embed_forward(queue, out, tokens, wte, wpe, batch, seq, c);
	count("embed_forward", start, 0);
}

static void timed_embed_backward(void *queue, float *dwte, float *dwpe,
				 const void *dout, const int32_t *tokens,
				 uint32_t batch, uint32_t seq, uint32_t c,
				 uint32_t vocab, uint32_t context,
				 int accumulate)
{
	uint64_t start = pfw_now();

	inner->embed_backward(queue, dwte, dwpe, dout, tokens, batch, seq, c,
			      vocab, context, accumulate);
	count("embed_backward", start, 0);
}

static void timed_norm(void *queue, void *out, float *mean, float *rstd,
		       const void *x, const float *weight, const float *bias,
		       uint32_t rows, uint32_t c)
{
	uint64_t start = pfw_now();

	inner->layernorm_forward(queue, out, mean, rstd, x, weight, bias, rows,
				 c);
	count("layernorm_forward", start, 0);
}

static void timed_norm_backward(void *queue, void *dx, float *dweight,
				float *dbias, const void *dout,
				const void *residual, const void *x,
				const float *mean, const float *rstd,
				const float *weight, uint32_t rows, uint32_t c,
				int accumulate)
{
	uint64_t start = pfw_now();

	inner->layernorm_backward(queue, dx, dweight, dbias, dout, residual, x,
				  mean, rstd, weight, rows, c, accumulate);
	count("layernorm_backward", start, 0);
}

/* Of `products` products over the causal half. */
static double attention_flops(const struct pfw_attention *a, int products)
{
	return (double)products * a->batch * a->heads * a->seq * a->seq *
	       a->head_size;
}

static void timed_attention(void *queue, const struct pfw_attention *a)
{
	uint64_t start = pfw_now();

	inner->attention_forward(queue, a);
	count("attention_forward", start, attention_flops(a, 2));
}

static void timed_attention_backward(void *queue, const struct pfw_attention *a)
{
	uint64_t start = pfw_now();

	inner->attention_backward(queue, a);
	count("attention_backward", start, attention_flops(a, 5));
}

static void timed_classifier(void *queue, void *logits, const int32_t *targets,
			     uint32_t rows, uint32_t vocab, float scale,
			     double *loss)
{
	uint64_t start = pfw_now();

	inner->classifier(queue, logits, targets, rows, vocab, scale, loss);
	count("classifier", start, 0);
}

static const struct pfw_kernels timed = {
	.size = sizeof(timed),
	.gemm = timed_gemm,
	.bias_backward = timed_bias,
	.embed_forward = timed_embed,
	.embed_backward = timed_embed_backward,
	.layernorm_forward = timed_norm,
	.layernorm_backward = timed_norm_backward,
	.attention_forward = timed_attention,
	.attention_backward = timed_attention_backward,
	.classifier = timed_classifier,
};

static void profile_steps(struct pfw_rig *r, uint32_t steps)
{
	const uint32_t n = r->model->shape.batch * r->model->shape.seq;
	int32_t *tokens = malloc(2 * n * sizeof(*tokens));

	if (!tokens)
		abort();
	pfw_rig_tokens(tokens, 2 * n, r->model->vocab, 1);
	for (uint32_t i = 0; i < steps; i++) {
		for (uint32_t k = 0; k < n_lines; k++)
			lines[k].calls = 0, lines[k].ns = 0;
		pfw_rig_train(r, tokens, tokens + n, 1, PFW_RIG_BACKWARD);
		for (uint32_t k = 0; k < n_lines; k++)
			if (lines[k].ns < lines[k].best)
				lines[k].best = lines[k].ns;
	}
	free(tokens);
}

static void print_lines(uint32_t tokens)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < n_lines; i++)
		total += lines[i].best;
	printf("%-36s %5s %9s %6s %8s\n", "kernel", "calls", "ms", "share",
	       "GFLOP/s");
	for (uint32_t i = 0; i < n_lines; i++) {
		const struct line *l = &lines[i];
		double ms = (double)l->best / 1e6;

		printf("%-36s %5u %9.3f %5.1f%%", l->name, l->calls, ms,
		       100.0 * (double)l->best / (double)total);
		if (l->flops > 0)
			printf(" %8.1f", l->flops * l->calls / ms / 1e6);
		printf("\n");
	}
	printf("%-36s %5s %9.3f  %.0f tokens/s\n", "all", "",
	       (double)total / 1e6, tokens * 1e9 / (double)total);
}

int main(int argc, char **argv)
{
	uint32_t v[] = { 4, 256, 4, 4, 256, 4096, 5 }, threads = 1;
	char text[5][32];
	struct rig_setup setup = { .stages = 1 };
	struct pfw_registry *registry;
	const struct pfw_loaded *gpt2;
	struct pfw_rig_device subjects[MAX_SUBJECTS], *cpu = &subjects[1];
	struct pfw_error err;
	struct pfw_rig r;

	for (int i = 1; i < argc && i < 8; i++)
		v[i - 1] = (uint32_t)strtoul(argv[i], NULL, 10);
	snprintf(text[0], sizeof(text[0]), "layers=%u", v[2]);
	snprintf(text[1], sizeof(text[1]), "heads=%u", v[3]);
	snprintf(text[2], sizeof(text[2]), "hidden=%u", v[4]);
	snprintf(text[3], sizeof(text[3]), "vocab=%u", v[5]);
	snprintf(text[4], sizeof(text[4]), "context=%u", v[1]);
	for (uint32_t i = 0; i < 5; i++)
		setup.options[i] = text[i];
	setup.batch = v[0];
	setup.seq = v[1];
	if (pfw_registry_open(NULL, &registry, &err) ||
	    pfw_registry_get(registry, PFW_KIND_STAGE, "gpt2", &gpt2, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	if (argc > 9)
		threads = (uint32_t)strtoul(argv[9], NULL, 10);
	if (subjects_open(registry, threads, subjects) < MAX_SUBJECTS)
		return 1;
	if (argc > 8 && !strcmp(argv[8], "bf16"))
		cpu = &subjects[2];
	printf("%s\n", cpu->device.props.path);
	inner = cpu->device.kernels;
	cpu->device.kernels = &timed;
	rig_open(&r, gpt2, cpu, &setup);
	profile_steps(&r, v[6]);
	print_lines(v[0] * v[1]);
	pfw_rig_close(&r);
	subjects_close(subjects, MAX_SUBJECTS);
	pfw_registry_close(registry);
	return 0;
}
