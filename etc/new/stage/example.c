/*
 * example: a stage, that is a family of models.  This one guesses each token from
 * the one before it: an embedding (E), blocks of two matrices with a GELU between
 * them (t), and a head (L) that gives the loss.
 *
 *    E   x = tokens[token] + positions[t]
 *    t   y = x + gelu(x up^T + a) down^T + b
 *    L   loss = -log softmax(x head^T)[target]
 *
 * pipefw cuts the list of layers into stages, owns all memory, and asks this to
 * run a range of layers on it.  <pipefw/stage.h> has the contract, and
 * <pipefw/device.h> the kernels that it is written over.
 */
#define PFW_PLUGIN_VERSION "0.1"
#include <pipefw/stage.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Parameters of a block, in their order. */
enum { UP, UP_BIAS, DOWN, DOWN_BIAS, N_BLOCK };
/* The embedding's. */
enum { TOKENS, POSITIONS, N_EMBEDDING };

static const struct pfw_option options[] = {
	{ .name = "layers", .type = PFW_OPT_INT, .def = "4",
	  .help = "blocks between embedding and head", .min = 1, .max = 1000 },
	{ .name = "hidden", .type = PFW_OPT_INT, .def = "128",
	  .help = "numbers of a token", .min = 8, .max = 65536 },
	{ .name = "context", .type = PFW_OPT_INT, .def = "256",
	  .help = "tokens of a sequence, at most", .min = 1, .max = 65536 },
	{ .name = "vocab", .type = PFW_OPT_INT, .def = "256",
	  .help = "how many tokens there are", .min = 2, .max = 1000000 },
};

struct block {
	struct pfw_param params[N_BLOCK];
	char names[N_BLOCK][64];
};

struct model {
	uint32_t layers, hidden, context, vocab;
	struct pfw_param embedding[N_EMBEDDING], head;
	struct block blocks[]; /* [layers] */
};

/* A matrix [rows, cols] that is B of products. */
static struct pfw_param matrix(const char *name, uint64_t rows, uint64_t cols)
{
	return (struct pfw_param){
		.name = name,
		.n_dims = 2,
		.dims = { rows, cols },
		.flags = PFW_PARAM_DECAY | PFW_PARAM_MATRIX,
		.init = PFW_INIT_NORMAL,
		.std = 0.02f,
	};
}

static struct pfw_param bias(const char *name, uint64_t n)
{
	return (struct pfw_param){
		.name = name, .n_dims = 1, .dims = { n }, .init = PFW_INIT_ZERO,
	};
}

static void name_block(struct block *b, uint32_t i, uint64_t hidden)
{
	static const char *const words[N_BLOCK] = {
		"up.weight", "up.bias", "down.weight", "down.bias",
	};

	for (uint32_t p = 0; p < N_BLOCK; p++)
		snprintf(b->names[p], sizeof(b->names[p]), "blocks.%u.%s", i,
			 words[p]);
	b->params[UP] = matrix(b->names[UP], 4 * hidden, hidden);
	b->params[UP_BIAS] = bias(b->names[UP_BIAS], 4 * hidden);
	b->params[DOWN] = matrix(b->names[DOWN], hidden, 4 * hidden);
	b->params[DOWN_BIAS] = bias(b->names[DOWN_BIAS], hidden);
}

static int model_open(const struct pfw_values *opt, void **model,
		      struct pfw_error *err)
{
	uint32_t layers = (uint32_t)pfw_value_int(opt, "layers");
	struct model *m = calloc(1, sizeof(*m) + layers * sizeof(m->blocks[0]));

	if (!m)
		return pfw_error_set(err, ENOMEM, "no memory for the model");
	m->layers = layers;
	m->hidden = (uint32_t)pfw_value_int(opt, "hidden");
	m->context = (uint32_t)pfw_value_int(opt, "context");
	m->vocab = (uint32_t)pfw_value_int(opt, "vocab");
	m->embedding[TOKENS] = matrix("tokens.weight", m->vocab, m->hidden);
	m->embedding[POSITIONS] = matrix("positions.weight", m->context,
					 m->hidden);
	/* These two are looked up, not multiplied with. */
	m->embedding[TOKENS].flags = PFW_PARAM_DECAY;
	m->embedding[POSITIONS].flags = PFW_PARAM_DECAY;
	m->head = matrix("head.weight", m->vocab, m->hidden);
	for (uint32_t i = 0; i < layers; i++)
		name_block(&m->blocks[i], i, m->hidden);
	*model = m;
	return 0;
}

static void model_close(void *model)
{
	free(model);
}

static uint32_t n_layers(void *model)
{
	const struct model *m = model;

	return m->layers + 2;
}

static int is_block(const struct model *m, uint32_t layer)
{
	return layer && layer <= m->layers;
}

static uint32_t n_params(const struct model *m, uint32_t layer)
{
	return layer == 0 ? N_EMBEDDING : is_block(m, layer) ? N_BLOCK : 1;
}

/* Bytes of act [rows, n], aligned. */
static uint64_t act_bytes(const struct pfw_call_shape *shape, uint64_t n)
{
	return pfw_align_up((uint64_t)shape->batch * shape->seq * n *
			    pfw_dtype_bytes(shape->act_dtype));
}

/*
 * What a micro-batch keeps of a layer: its output (the input of the layer behind
 * it, where that lies in the same stage), and of a block what the GELU noted and
 * gave.
 */
static uint64_t saved_bytes(const struct model *m, uint32_t layer,
			    const struct pfw_call_shape *shape)
{
	uint64_t n = layer <= m->layers ? act_bytes(shape, m->hidden) : 0;

	return is_block(m, layer) ? n + 2 * act_bytes(shape, 4ull * m->hidden) : n;
}

/*
 * Scratch, the same for all layers: two of an output, forward to pass on what is
 * not kept, backward for gradients; two of a block's inside; the logits.
 */
static uint64_t work_bytes(const struct model *m,
			   const struct pfw_call_shape *shape)
{
	return 2 * act_bytes(shape, m->hidden) +
	       2 * act_bytes(shape, 4ull * m->hidden) +
	       act_bytes(shape, m->vocab);
}

static void layer(void *model, uint32_t index,
		  const struct pfw_call_shape *shape, struct pfw_layer *out)
{
	struct model *m = model;
	double rows = (double)shape->batch * shape->seq;
	double flops = index == 0 ? 0 : 2 * rows * m->hidden *
		(is_block(m, index) ? 8.0 * m->hidden : m->vocab);

	*out = (struct pfw_layer){
		.size = out->size,
		.name = index == 0 ? "embedding" : is_block(m, index) ? "block"
								     : "head",
		.letter = index == 0 ? 'E' : is_block(m, index) ? 't' : 'L',
		.n_params = n_params(m, index),
		.params = index == 0 ? m->embedding : is_block(m, index) ?
			m->blocks[index - 1].params : &m->head,
		.saved_bytes = saved_bytes(m, index, shape),
		.work_bytes = work_bytes(m, shape),
		.flops_forward = flops,
		.flops_input = flops,
		.flops_weight = flops,
	};
}

static uint32_t boundary(void *model, uint32_t index,
			 const struct pfw_call_shape *shape,
			 struct pfw_tensor *out, uint32_t max)
{
	const struct model *m = model;

	(void)index;
	if (max)
		out[0] = (struct pfw_tensor){
			.name = "x",
			.dtype = shape->act_dtype,
			.n_dims = 3,
			.dims = { shape->batch, shape->seq, m->hidden },
		};
	return 1;
}

static void limits(void *model, uint32_t *vocab, uint32_t *context)
{
	const struct model *m = model;

	*vocab = m->vocab;
	*context = m->context;
}

/* A call, at one of its layers. */
struct at {
	const struct model *m;
	const struct pfw_call *call;
	const struct pfw_kernels *k;
	uint32_t layer, rows;
	uint32_t param;  /* the layer's first, in the tables of the call */
	char *saved;     /* what it keeps; NULL in evaluation */
	uint64_t x, inner; /* bytes of an output, of a block's inside */
};

static struct at seek(const struct model *m, const struct pfw_call *call,
		      uint32_t index)
{
	struct at at = {
		.m = m,
		.call = call,
		.k = call->device->kernels,
		.layer = index,
		.rows = call->shape.batch * call->shape.seq,
		.saved = call->flags & PFW_CALL_TRAIN ? call->saved : NULL,
		.x = act_bytes(&call->shape, m->hidden),
		.inner = act_bytes(&call->shape, 4ull * m->hidden),
	};

	for (uint32_t i = call->first_layer; i < index; i++) {
		at.param += n_params(m, i);
		if (at.saved)
			at.saved += saved_bytes(m, i, &call->shape);
	}
	return at;
}

/* Two outputs' room in turn, two of a block's inside, the logits. */
static void *work_x(const struct at *at, uint32_t turn)
{
	return (char *)at->call->work + turn % 2 * at->x;
}

static void *work_inner(const struct at *at, uint32_t which)
{
	return (char *)at->call->work + 2 * at->x + which * at->inner;
}

static void *work_logits(const struct at *at)
{
	return work_inner(at, 2);
}

static int is_last(const struct at *at)
{
	return at->layer + 1 == at->call->first_layer + at->call->n_layers;
}

static void *output_of(const struct at *at)
{
	if (is_last(at))
		return at->call->output;
	return at->saved ? at->saved : work_x(at, at->layer);
}

static const void *input_of(const struct at *at)
{
	struct at before;

	if (at->layer == at->call->first_layer)
		return at->call->input;
	before = seek(at->m, at->call, at->layer - 1);
	return output_of(&before);
}

/* What the GELU noted, and what it gave. */
static void *gelu_noted(const struct at *at)
{
	return at->saved ? at->saved + at->x : work_inner(at, 0);
}

static void *gelu_gave(const struct at *at)
{
	return at->saved ? at->saved + at->x + at->inner : work_inner(at, 1);
}

static const void *grad_output_of(const struct at *at)
{
	return is_last(at) ? at->call->grad_output : work_x(at, at->layer);
}

static void *grad_input_of(const struct at *at)
{
	return at->layer == at->call->first_layer ? at->call->grad_input
						  : work_x(at, at->layer - 1);
}

/* c [rows, n] = a times the matrix: NT by its rows, NN by its columns. */
static struct pfw_gemm product(const struct at *at, uint32_t kind, uint32_t param,
			       const struct pfw_param *info, const void *a,
			       void *c)
{
	const struct pfw_call *call = at->call;
	const uint32_t i = at->param + param;
	const int nt = kind == PFW_GEMM_NT;
	struct pfw_gemm g = {
		.size = sizeof(g),
		.kind = kind,
		.m = at->rows,
		.n = (uint32_t)info->dims[nt ? 0 : 1],
		.k = (uint32_t)info->dims[nt ? 1 : 0],
		.c_dtype = call->shape.act_dtype,
		.a = a,
		.b = call->weights[i],
		.c = c,
	};

	if (call->weights_act && call->weights_act[i])
		g.b = call->weights_act[i];
	if (call->packed)
		g.b_packed = call->packed[2 * i + kind];
	return g;
}

/* The matrix's gradient (+)= a^T b: [rows of the matrix, its columns]. */
static void weight_grad(const struct at *at, uint32_t param,
			const struct pfw_param *info, const void *a,
			const void *b)
{
	const struct pfw_gemm g = {
		.size = sizeof(g),
		.kind = PFW_GEMM_TN,
		.epilogue = at->call->flags & PFW_CALL_ACCUMULATE ?
			PFW_EPI_ACCUMULATE : 0,
		.m = (uint32_t)info->dims[0],
		.n = (uint32_t)info->dims[1],
		.k = at->rows,
		.c_dtype = PFW_F32,
		.a = a,
		.b = b,
		.c = at->call->grads[at->param + param],
	};

	at->k->gemm(at->call->queue, &g);
}

static void block_forward(const struct at *at)
{
	const struct pfw_param *p = at->m->blocks[at->layer - 1].params;
	const struct pfw_call *call = at->call;
	struct pfw_gemm up = product(at, PFW_GEMM_NT, UP, &p[UP], input_of(at),
				     gelu_gave(at));
	struct pfw_gemm down = product(at, PFW_GEMM_NT, DOWN, &p[DOWN],
				       gelu_gave(at), output_of(at));

	up.epilogue = PFW_EPI_BIAS | PFW_EPI_GELU;
	up.bias = call->weights[at->param + UP_BIAS];
	up.aux = gelu_noted(at);
	at->k->gemm(call->queue, &up);
	down.epilogue = PFW_EPI_BIAS | PFW_EPI_RESIDUAL;
	down.bias = call->weights[at->param + DOWN_BIAS];
	down.residual = input_of(at);
	at->k->gemm(call->queue, &down);
}

static void block_backward(const struct at *at)
{
	const struct pfw_param *p = at->m->blocks[at->layer - 1].params;
	const struct pfw_call *call = at->call;
	const int adds = (call->flags & PFW_CALL_ACCUMULATE) != 0;
	const void *dy = grad_output_of(at);
	void *dh = work_inner(at, 0);
	struct pfw_gemm down = product(at, PFW_GEMM_NN, DOWN, &p[DOWN], dy, dh);
	struct pfw_gemm up = product(at, PFW_GEMM_NN, UP, &p[UP], dh,
				     grad_input_of(at));

	weight_grad(at, DOWN, &p[DOWN], dy, gelu_gave(at));
	at->k->bias_backward(call->queue, call->grads[at->param + DOWN_BIAS], dy,
			     at->rows, at->m->hidden, adds);
	down.epilogue = PFW_EPI_DGELU;
	down.aux = gelu_noted(at);
	at->k->gemm(call->queue, &down);
	weight_grad(at, UP, &p[UP], dh, input_of(at));
	at->k->bias_backward(call->queue, call->grads[at->param + UP_BIAS], dh,
			     at->rows, 4 * at->m->hidden, adds);
	up.epilogue = PFW_EPI_RESIDUAL;
	up.residual = dy;
	at->k->gemm(call->queue, &up);
}

static void head_loss(const struct at *at, float scale)
{
	const struct pfw_call *call = at->call;
	struct pfw_gemm g = product(at, PFW_GEMM_NT, 0, &at->m->head,
				    input_of(at), work_logits(at));

	if (call->logits) {
		g.c = call->logits;
		g.c_dtype = PFW_F32;
	}
	at->k->gemm(call->queue, &g);
	if (!call->logits)
		at->k->classifier(call->queue, work_logits(at), call->targets,
				  at->rows, at->m->vocab, scale, call->loss);
}

static void head_backward(const struct at *at)
{
	struct pfw_gemm g = product(at, PFW_GEMM_NN, 0, &at->m->head,
				    work_logits(at), grad_input_of(at));

	/* The logits become their gradient. */
	head_loss(at, at->call->loss_scale);
	weight_grad(at, 0, &at->m->head, work_logits(at), input_of(at));
	at->k->gemm(at->call->queue, &g);
}

static void forward(void *model, const struct pfw_call *call)
{
	const struct model *m = model;

	for (uint32_t i = 0; i < call->n_layers; i++) {
		struct at at = seek(m, call, call->first_layer + i);

		if (at.layer == 0)
			at.k->embed_forward(call->queue, output_of(&at),
					    call->tokens, call->weights[TOKENS],
					    call->weights[POSITIONS],
					    call->shape.batch, call->shape.seq,
					    m->hidden);
		else if (is_block(m, at.layer))
			block_forward(&at);
		else if (!(call->flags & PFW_CALL_TRAIN))
			head_loss(&at, 0);
	}
}

static void backward(void *model, const struct pfw_call *call)
{
	const struct model *m = model;

	for (uint32_t i = call->n_layers; i-- > 0;) {
		struct at at = seek(m, call, call->first_layer + i);

		if (at.layer == 0)
			at.k->embed_backward(call->queue, call->grads[TOKENS],
				call->grads[POSITIONS], grad_output_of(&at),
				call->tokens, call->shape.batch, call->shape.seq,
				m->hidden, m->vocab, m->context,
				(call->flags & PFW_CALL_ACCUMULATE) != 0);
		else if (is_block(m, at.layer))
			block_backward(&at);
		else
			head_backward(&at);
	}
}

/* With PFW_STAGE_SPLITS, backward_input() and backward_weight() it could be run
 * by the schedules that list I and W apart. */
static const struct pfw_stage_ops ops = {
	.size = sizeof(ops),
	.open = model_open,
	.close = model_close,
	.n_layers = n_layers,
	.layer = layer,
	.boundary = boundary,
	.limits = limits,
	.forward = forward,
	.backward = backward,
};

PFW_PLUGIN(.kind = PFW_KIND_STAGE, .thread_model = PFW_THREAD_PARALLEL,
	   .name = "example", .summary = "each token from the one before it",
	   PFW_OPTIONS(options), .ops = &ops);
