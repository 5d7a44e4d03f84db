/*
 * gpt2.h: the GPT-2 family (Radford et al., "Language Models are Unsupervised
 * Multitask Learners", 2019): learned positions, LayerNorm before each half of
 * a block, tanh GELU, no dropout, the embedding tied to the head.
 *
 * Layers: E (embedding); for each block a (attention) and m (MLP), each with its
 * norm and its residual, together t; L (final norm and head).  The numbers, their
 * names and their layout are those of GPT2LMHeadModel's state dict: the weights of
 * a block are [in, out], so that forward is y = x W.
 */
#ifndef PFW_GPT2_H
#define PFW_GPT2_H

#include <pipefw/stage.h>

/* The parameters of half a block, in the order of the state dict. */
enum {
	LN_W, LN_B,
	IN_W, IN_B,       /* attn.c_attn [C, 3C]; mlp.c_fc [C, 4C] */
	OUT_W, OUT_B,     /* attn.c_proj [C, C]; mlp.c_proj [4C, C] */
	HALF_PARAMS
};
/* Of the embedding. */
enum { WTE, WPE, EMBEDDING_PARAMS };
/* Of the head, whose matrix is the embedding's. */
enum { LNF_W, LNF_B, HEAD_W, HEAD_PARAMS };

#define MAX_NAME 48

struct gpt2 {
	uint32_t layers, heads, hidden, context, vocab;
	struct pfw_param *params; /* of all layers, in their order */
	char (*names)[MAX_NAME];  /* of the halves' parameters, then of the
				     halves */
};

static inline int is_embedding(uint32_t layer)
{
	return layer == 0;
}

static inline int is_head(const struct gpt2 *m, uint32_t layer)
{
	return layer == 2 * m->layers + 1;
}

/* Of what is neither embedding nor head. */
static inline int is_attention(uint32_t layer)
{
	return layer % 2;
}

/* Parameters of all layers before this one. */
static inline uint32_t params_before(uint32_t layer)
{
	return layer ? EMBEDDING_PARAMS + (layer - 1) * HALF_PARAMS : 0;
}

/* layers.c */
int gpt2_list_params(struct gpt2 *m, struct pfw_error *err);
uint32_t gpt2_n_layers(void *model);
void gpt2_layer(void *model, uint32_t index, const struct pfw_call_shape *shape,
		struct pfw_layer *out);
uint32_t gpt2_boundary(void *model, uint32_t index,
		       const struct pfw_call_shape *shape,
		       struct pfw_tensor *out, uint32_t max);

/* calls.c */
void gpt2_forward(void *model, const struct pfw_call *call);
void gpt2_backward(void *model, const struct pfw_call *call);
void gpt2_backward_input(void *model, const struct pfw_call *call);
void gpt2_backward_weight(void *model, const struct pfw_call *call);

/* config.c */
size_t gpt2_config_json(void *model, const char *extra, char *buf, size_t len);
int gpt2_from_config_json(const char *text, size_t len,
			  int (*set)(void *ctx, const char *name,
				     const char *value, struct pfw_error *err),
			  void *ctx, struct pfw_error *err);
int gpt2_matches(void *model, const char *param, const char *name);

#endif
