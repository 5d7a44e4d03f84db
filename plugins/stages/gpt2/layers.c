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

static const char *block_names[BLOCK_PARAMS] = {
	"ln_1.weight", "ln_1.bias",
	"attn.c_attn.weight", "attn.c_attn.bias",
	"attn.c_proj.weight", "attn.c_proj.bias",
	"ln_2.weight", "ln_2.bias",
	"mlp.c_fc.weight", "mlp.c_fc.bias",
	"mlp.c_proj.weight", "mlp.c_proj.bias",
};

static void block_params(const struct gpt2 *m, struct pfw_param *p,
			 const char (*names)[MAX_NAME])
{
	const uint32_t c = m->hidden;
	const float std = INIT_STD / sqrtf(2.0f * (float)m->layers);

	vector(&p[LN1_W], names[LN1_W], c, PFW_INIT_ONE);
	vector(&p[LN1_B], names[LN1_B], c, PFW_INIT_ZERO);
	matrix(&p[QKV_W], names[QKV_W], c, 3 * c, PFW_PARAM_MATRIX, INIT_STD);
	vector(&p[QKV_B], names[QKV_B], 3 * c, PFW_INIT_ZERO);
	matrix(&p[ATTN_W], names[ATTN_W], c, c, PFW_PARAM_MATRIX, std);
	vector(&p[ATTN_B], names[ATTN_B], c, PFW_INIT_ZERO);
	vector(&p[LN2_W], names[LN2_W], c, PFW_INIT_ONE);
	vector(&p[LN2_B], names[LN2_B], c, PFW_INIT_ZERO);
	matrix(&p[FC_W], names[FC_W], c, 4 * c, PFW_PARAM_MATRIX, INIT_STD);
	vector(&p[FC_B], names[FC_B], 4 * c, PFW_INIT_ZERO);
	matrix(&p[PROJ_W], names[PROJ_W], 4 * c, c, PFW_PARAM_MATRIX, std);
	vector(&p[PROJ_B], names[PROJ_B], c, PFW_INIT_ZERO);
}

int gpt2_list_params(struct gpt2 *m, struct pfw_error *err)
{
	const uint32_t n_block_params = m->layers * BLOCK_PARAMS;
	struct pfw_param *p;

	m->params = calloc(EMBEDDING_PARAMS + n_block_params + HEAD_PARAMS,
			   sizeof(*m->params));
	m->names = calloc(n_block_params + m->layers, sizeof(*m->names));
	if (!m->params || !m->names)
		return pfw_error_set(err, ENOMEM, "no memory for %u layers",
				     m->layers);
	p = m->params;
	matrix(&p[WTE], "transformer.wte.weight", m->vocab, m->hidden, 0,
	       INIT_STD);
	matrix(&p[WPE], "transformer.wpe.weight", m->context, m->hidden, 0,
	       INIT_STD);
	for (uint32_t i = 0; i < m->layers; i++) {
		char (*names)[MAX_NAME] = m->names + (size_t)i * BLOCK_PARAMS;

		for (uint32_t k = 0; k < BLOCK_PARAMS; k++)
			snprintf(names[k], MAX_NAME, "transformer.h.%u.%s", i,
				 block_names[k]);
		snprintf(m->names[n_block_params + i], MAX_NAME, "h.%u", i);
		block_params(m, p + params_before(1 + i),
			     (const char (*)[MAX_NAME])names);
	}
	p += params_before(m->layers + 1);
	vector(&p[LNF_W], "transformer.ln_f.weight", m->hidden, PFW_INIT_ONE);
	vector(&p[LNF_B], "transformer.ln_f.bias", m->hidden, PFW_INIT_ZERO);
	matrix(&p[HEAD_W], "transformer.wte.weight", m->vocab, m->hidden,
	       PFW_PARAM_MATRIX, INIT_STD);
	return 0;
}

uint32_t gpt2_n_layers(void *model)
{
	const struct gpt2 *m = model;

	return m->layers + 2;
}

/* Per row: 12 C^2 weights in the matrices; attention's two products over the
 * causal half, and five backward, one of which makes the scores again. */
static void block_flops(const struct gpt2 *m, const struct pfw_call_shape *s,
			struct pfw_layer *out)
{
	const double rows = (double)s->batch * s->seq, c = m->hidden;
	const double matrices = 2 * rows * 12 * c * c;
	const double product = rows * s->seq * c;

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
		out->name = m->names[(size_t)m->layers * BLOCK_PARAMS +
				     index - 1];
		out->letter = 't';
		out->n_params = BLOCK_PARAMS;
		block_flops(m, shape, out);
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
