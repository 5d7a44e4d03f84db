#include "gpt2.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "memory.h"

/* Initial values as in the paper and its released code: deviation 0.02, less
 * for the matrices that add to the residual stream, of which there are two a
 * block. */
#define INIT_STD 0.02f

static void vector(struct pfw_param *p, const char *name, uint32_t n,
		   uint32_t init)
{
	p->name = name;
	p->n_dims = 1;
	p->dims[0] = n;
	p->init = init;
}

static void matrix(struct pfw_param *p, const char *name, uint32_t rows,
		   uint32_t cols, uint32_t flags, float std)
{
	p->name = name;
	p->n_dims = 2;
	p->dims[0] = rows;
	p->dims[1] = cols;
	p->flags = PFW_PARAM_DECAY | flags;
	p->init = PFW_INIT_NORMAL;
	p->std = std;
}

static const char *const half_names[2][HALF_PARAMS] = {
	{ "ln_1.weight", "ln_1.bias", "attn.c_attn.weight", "attn.c_attn.bias",
	  "attn.c_proj.weight", "attn.c_proj.bias" },
	{ "ln_2.weight", "ln_2.bias", "mlp.c_fc.weight", "mlp.c_fc.bias",
	  "mlp.c_proj.weight", "mlp.c_proj.bias" },
};

/* The first matrix is [C, wide], the other one [from, C]. */
static void half_params(const struct gpt2 *m, struct pfw_param *p,
			const char (*names)[MAX_NAME], uint32_t wide,
			uint32_t from)
{
	const uint32_t c = m->hidden;
	const float std = INIT_STD / sqrtf(2.0f * (float)m->layers);

	vector(&p[LN_W], names[LN_W], c, PFW_INIT_ONE);
	vector(&p[LN_B], names[LN_B], c, PFW_INIT_ZERO);
	matrix(&p[IN_W], names[IN_W], c, wide, PFW_PARAM_MATRIX, INIT_STD);
	vector(&p[IN_B], names[IN_B], wide, PFW_INIT_ZERO);
	matrix(&p[OUT_W], names[OUT_W], from, c, PFW_PARAM_MATRIX, std);
	vector(&p[OUT_B], names[OUT_B], c, PFW_INIT_ZERO);
}

/* Layer @p i + 1, half of a block. */
static void list_half(struct gpt2 *m, uint32_t i)
{
	const uint32_t block = i / 2, half = i % 2, c = m->hidden;
	char (*names)[MAX_NAME] = m->names + (size_t)i * HALF_PARAMS;

	for (uint32_t k = 0; k < HALF_PARAMS; k++)
		snprintf(names[k], MAX_NAME, "transformer.h.%u.%s", block,
			 half_names[half][k]);
	snprintf(m->names[(size_t)m->layers * 2 * HALF_PARAMS + i], MAX_NAME,
		 "h.%u.%s", block, half ? "mlp" : "attn");
	half_params(m, m->params + params_before(1 + i),
		    (const char (*)[MAX_NAME])names, half ? 4 * c : 3 * c,
		    half ? 4 * c : c);
}

int gpt2_list_params(struct gpt2 *m, struct pfw_error *err)
{
	const size_t halves = 2 * (size_t)m->layers;
	struct pfw_param *p;

	m->params = calloc(EMBEDDING_PARAMS + halves * HALF_PARAMS + HEAD_PARAMS,
			   sizeof(*m->params));
	m->names = calloc(halves * (HALF_PARAMS + 1), sizeof(*m->names));
	if (!m->params || !m->names)
		return pfw_error_set(err, ENOMEM, "no memory for %u layers",
				     m->layers);
	p = m->params;
	matrix(&p[WTE], "transformer.wte.weight", m->vocab, m->hidden, 0,
	       INIT_STD);
	matrix(&p[WPE], "transformer.wpe.weight", m->context, m->hidden, 0,
	       INIT_STD);
	for (uint32_t i = 0; i < halves; i++)
		list_half(m, i);
	p += params_before(2 * m->layers + 1);
	vector(&p[LNF_W], "transformer.ln_f.weight", m->hidden, PFW_INIT_ONE);
	vector(&p[LNF_B], "transformer.ln_f.bias", m->hidden, PFW_INIT_ZERO);
	matrix(&p[HEAD_W], "transformer.wte.weight", m->vocab, m->hidden,
	       PFW_PARAM_MATRIX, INIT_STD);
	return 0;
}

uint32_t gpt2_n_layers(void *model)
{
	const struct gpt2 *m = model;

	return 2 * m->layers + 2;
}

/* Per row: 4 C^2 weights in attention's matrices, 8 C^2 in those of the MLP;
 * attention's two products over the causal half, and five backward, one of which
 * makes the scores again. */
static void half_flops(const struct gpt2 *m, const struct pfw_call_shape *s,
		       int attention, struct pfw_layer *out)
{
	const double rows = (double)s->batch * s->seq, c = m->hidden;
	const double matrices = 2 * rows * (attention ? 4 : 8) * c * c;
	const double product = attention ? rows * s->seq * c : 0;

	out->flops_forward = matrices + 2 * product;
	out->flops_input = matrices + 5 * product;
	out->flops_weight = matrices;
	out->flops_model = 3 * matrices + 6 * product;
}

/* The head makes its logits in I, and its matrix' gradient with them: keeping
 * the gradients of the logits for W would take vocab numbers a row. */
static void head_flops(const struct gpt2 *m, const struct pfw_call_shape *s,
		       struct pfw_layer *out)
{
	out->flops_input = 3 * 2.0 * s->batch * s->seq * m->vocab * m->hidden;
	out->flops_model = out->flops_input;
}

/* One addition an element. */
static void embedding_flops(const struct gpt2 *m,
			    const struct pfw_call_shape *s,
			    struct pfw_layer *out)
{
	out->flops_forward = (double)s->batch * s->seq * m->hidden;
	out->flops_weight = 2 * out->flops_forward;
}

static void half_layer(const struct gpt2 *m, uint32_t index,
		       const struct pfw_call_shape *shape,
		       struct pfw_layer *out)
{
	out->name = m->names[(size_t)m->layers * 2 * HALF_PARAMS + index - 1];
	out->letter = is_attention(index) ? 'a' : 'm';
	out->n_params = HALF_PARAMS;
	half_flops(m, shape, is_attention(index), out);
	if (is_attention(index)) {
		out->whole = 't';
		out->n_whole = 2;
	}
}

void gpt2_layer(void *model, uint32_t index, const struct pfw_call_shape *shape,
		struct pfw_layer *out)
{
	const struct gpt2 *m = model;

	out->params = m->params + params_before(index);
	layer_bytes(m, index, shape, &out->saved_bytes, &out->work_bytes);
	if (is_embedding(index)) {
		out->name = "embedding";
		out->letter = 'E';
		out->n_params = EMBEDDING_PARAMS;
		embedding_flops(m, shape, out);
	} else if (is_head(m, index)) {
		out->name = "head";
		out->letter = 'L';
		out->n_params = HEAD_PARAMS;
		head_flops(m, shape, out);
	} else {
		half_layer(m, index, shape, out);
	}
}

uint32_t gpt2_boundary(void *model, uint32_t index,
		       const struct pfw_call_shape *shape,
		       struct pfw_tensor *out, uint32_t max)
{
	const struct gpt2 *m = model;

	if (is_head(m, index))
		return 0;
	if (max)
		out[0] = (struct pfw_tensor){
			.name = "residual", .dtype = shape->act_dtype,
			.n_dims = 3,
			.dims = { shape->batch, shape->seq, m->hidden } };
	return 1;
}
