/* A rank's device and everything it holds there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "runtime/rank.h"

int pfw_rank_alloc(struct pfw_rank *rank, uint64_t bytes, void **out,
		   struct pfw_error *err)
{
	void *block;
	int rc;

	if (pfw_size_align(bytes) == PFW_SIZE_MAX)
		return pfw_error_set(err, ENOMEM,
				     "rank %u: a buffer of more than 2^64 bytes "
				     "is wanted: make the model, "
				     "pipeline.microbatch_size or "
				     "pipeline.microbatches smaller", rank->rank);
	if (rank->n_blocks == rank->blocks_capacity) {
		size_t capacity = rank->blocks_capacity ?
					  2 * rank->blocks_capacity : 64;
		void **grown = realloc(rank->blocks, capacity * sizeof(*grown));

		if (!grown)
			return pfw_error_set(err, ENOMEM, "out of memory");
		rank->blocks = grown;
		rank->blocks_capacity = capacity;
	}
	rc = rank->device_ops->alloc(rank->device_object,
				     bytes ? pfw_align_up(bytes) : PFW_ALIGN,
				     &block, err);
	if (rc)
		return rc;
	rank->blocks[rank->n_blocks++] = block;
	*out = block;
	return 0;
}

int pfw_rank_read(struct pfw_rank *rank, void *host, const void *device,
		  uint64_t bytes, struct pfw_error *err)
{
	int rc = rank->device_ops->copy(rank->queue, host, device, bytes,
					PFW_COPY_OUT, err);

	return rc ? rc : pfw_rank_sync(rank, err);
}

static int check_device(const struct pfw_rank *rank, struct pfw_error *err)
{
	const struct pfw_config *cfg = rank->job->cfg;
	const struct pfw_kernels *k = rank->device.kernels;
	const char *name = pfw_rank_device(rank)->plugin->info.name;
	const uint32_t act = rank->device.props.act_dtype;

	if (act != cfg->dtype)
		return pfw_error_set(err, ENOTSUP,
				     "device \"%s\" keeps activations in %s "
				     "where device.dtype is \"%s\": set it to "
				     "what the device can do", name,
				     pfw_dtype_name(act),
				     pfw_dtype_name(cfg->dtype));
	if (cfg->stochastic &&
	    (!k->copy_at_random || (k->pack_bytes && !k->pack_at_random)))
		return pfw_error_set(err, ENOTSUP,
				     "device \"%s\" rounds weights to nearest "
				     "alone: device.rounding = \"stochastic\" "
				     "is not for it", name);
	return 0;
}

static int open_device(struct pfw_rank *rank, struct pfw_error *err)
{
	const struct pfw_choice *choice = pfw_rank_device(rank);
	struct pfw_device_info info =
		pfw_job_device_info(rank->job, rank->boot->threads);
	int rc;

	info.rank = rank->rank;
	info.index = rank->rank - rank->boot->place->first;
	info.spin_ns = rank->has_core ? PFW_SPIN_NS : 0;

	rank->device_ops = &choice->plugin->ops.device;
	rank->device.props.size = sizeof(rank->device.props);
	rc = rank->device_ops->open(choice->values, &info, &rank->device_object,
				    &rank->device.props, err);
	if (!rc && rank->device_ops->enter_thread)
		rc = rank->device_ops->enter_thread(rank->device_object, err);
	if (!rc)
		rc = rank->device_ops->open_queue(rank->device_object,
						  &rank->queue, err);
	if (rc)
		return rc;
	rank->device.kernels = rank->device_ops->kernels(rank->device_object);
	return check_device(rank, err);
}

static struct pfw_rank_param *param_of(struct pfw_rank *rank, uint32_t param)
{
	for (uint32_t i = 0; i < rank->n_params; i++)
		if (rank->params[i].param == param)
			return &rank->params[i];
	return NULL;
}

/* Weights and moments, once for each parameter this rank uses. */
static int open_param(struct pfw_rank *rank, uint32_t param,
		      struct pfw_error *err)
{
	struct pfw_rank_param *p = &rank->params[rank->n_params];
	uint64_t n = rank->job->model->params[param].elements;
	int rc;

	if (param_of(rank, param))
		return 0;
	*p = (struct pfw_rank_param){
		.param = param,
		.owned = pfw_job_param_rank(rank->job, param) == rank->rank,
		.n = n,
	};
	rc = pfw_rank_alloc(rank, n * sizeof(float), (void **)&p->weight, err);
	if (!rc && rank->job->programs[PFW_PROGRAM_TRAIN].program) {
		rc = pfw_rank_alloc(rank, n * sizeof(float),
				    (void **)&p->moment1, err);
		if (!rc)
			rc = pfw_rank_alloc(rank, n * sizeof(float),
					    (void **)&p->moment2, err);
	}
	rank->n_params += !rc;
	return rc;
}

static int open_use(struct pfw_rank *rank, uint32_t use, struct pfw_error *err)
{
	const struct pfw_model *model = rank->job->model;
	uint32_t param = model->uses[use].param;
	struct pfw_rank_use *u = &rank->uses[rank->n_uses];
	struct pfw_rank_param *p;
	int rc = open_param(rank, param, err);

	if (rc)
		return rc;
	*u = (struct pfw_rank_use){ use, param, model->params[param].elements,
				    NULL };
	if (rank->job->programs[PFW_PROGRAM_TRAIN].program)
		rc = pfw_rank_alloc(rank, u->n * sizeof(float),
				    (void **)&u->grad, err);
	if (rc)
		return rc;
	p = param_of(rank, param);
	if (!p->grad)
		p->grad = u->grad;
	rank->n_uses++;
	return pfw_rank_open_forms(rank, model->uses[use].info, p, err);
}

static int open_chunk_tables(struct pfw_rank *rank,
			     struct pfw_rank_chunk *chunk, uint32_t first_use,
			     struct pfw_error *err)
{
	uint32_t n = rank->n_uses - first_use;

	chunk->weights = calloc(n + 1, sizeof(*chunk->weights));
	chunk->grads = calloc(n + 1, sizeof(*chunk->grads));
	chunk->packed = calloc(2 * n + 1, sizeof(*chunk->packed));
	chunk->weights_act = calloc(n + 1, sizeof(*chunk->weights_act));
	chunk->saved = calloc(chunk->n_saved + 1, sizeof(*chunk->saved));
	if (!chunk->weights || !chunk->grads || !chunk->packed ||
	    !chunk->weights_act || !chunk->saved)
		return pfw_error_set(err, ENOMEM, "out of memory");
	for (uint32_t i = 0; i < n; i++) {
		struct pfw_rank_use *u = &rank->uses[first_use + i];
		struct pfw_rank_param *p = param_of(rank, u->param);

		chunk->weights[i] = p->weight;
		chunk->grads[i] = u->grad;
		for (uint32_t kind = PFW_GEMM_NT; kind <= PFW_GEMM_NN; kind++)
			chunk->packed[2 * i + kind] = p->forms[kind];
		chunk->weights_act[i] = p->forms[PFW_FORM_ACT];
	}
	return 0;
}

static int open_chunk(struct pfw_rank *rank, uint32_t stage,
		      struct pfw_error *err)
{
	const struct pfw_model_stage *s = &rank->job->model->stages[stage];
	const struct pfw_program *train =
		rank->job->programs[PFW_PROGRAM_TRAIN].program;
	struct pfw_rank_chunk *chunk = &rank->chunks[rank->n_chunks];
	uint32_t first_use = rank->n_uses;
	int rc = 0;

	chunk->stage = stage;
	if (train)
		chunk->n_saved = train->rank[rank->rank].n_saved[rank->n_chunks];
	for (uint32_t i = 0; !rc && i < s->n_uses; i++)
		rc = open_use(rank, s->first_use + i, err);
	if (!rc)
		rc = open_chunk_tables(rank, chunk, first_use, err);
	rank->n_chunks++;
	for (uint32_t i = 0; !rc && i < chunk->n_saved; i++)
		rc = pfw_rank_alloc(rank, s->saved_bytes,
				    (void **)&chunk->saved[i], err);
	return rc;
}

static int open_tables(struct pfw_rank *rank, struct pfw_error *err)
{
	const struct pfw_model *model = rank->job->model;
	const struct pfw_program *program = pfw_job_placement(rank->job);
	uint32_t n_uses = 0;

	for (uint32_t s = 0; s < program->stages; s++)
		if (program->rank_of[s] == rank->rank)
			n_uses += model->stages[s].n_uses;
	rank->chunks = calloc(program->chunks, sizeof(*rank->chunks));
	rank->uses = calloc(n_uses + 1, sizeof(*rank->uses));
	rank->params = calloc(n_uses + 1, sizeof(*rank->params));
	rank->grads = calloc(n_uses + 1, sizeof(*rank->grads));
	rank->updates = calloc(n_uses + 1, sizeof(*rank->updates));
	if (!rank->chunks || !rank->uses || !rank->params || !rank->grads ||
	    !rank->updates)
		return pfw_error_set(err, ENOMEM, "out of memory");
	return 0;
}

/* Tokens go where kernels can read them. */
static int open_token_buffers(struct pfw_rank *rank, struct pfw_error *err)
{
	const struct pfw_config *cfg = rank->job->cfg;
	uint64_t m = cfg->pipeline.microbatches;
	uint64_t bytes;
	int rc;

	if (rank->device.props.memory == PFW_MEM_HOST)
		return 0;
	if (m < (uint64_t)cfg->data.eval_batches)
		m = (uint64_t)cfg->data.eval_batches;
	bytes = pfw_size_mul(m, (uint64_t)rank->shape.batch *
					rank->shape.seq * sizeof(int32_t));
	rc = pfw_rank_alloc(rank, bytes, (void **)&rank->device_tokens, err);
	if (!rc)
		rc = pfw_rank_alloc(rank, bytes,
				    (void **)&rank->device_targets, err);
	return rc;
}

int pfw_rank_open_memory(struct pfw_rank *rank, struct pfw_error *err)
{
	const struct pfw_model *model = rank->job->model;
	const struct pfw_program *program = pfw_job_placement(rank->job);
	uint64_t work = 0;
	int rc = open_device(rank, err);

	rank->shape = model->shape;
	if (!rc)
		rc = open_tables(rank, err);
	for (uint32_t s = 0; !rc && s < program->stages; s++) {
		if (program->rank_of[s] != rank->rank)
			continue;
		rc = open_chunk(rank, s, err);
		if (model->stages[s].work_bytes > work)
			work = model->stages[s].work_bytes;
	}
	if (!rc)
		rc = pfw_rank_alloc(rank, work, &rank->work, err);
	if (!rc)
		rc = pfw_rank_alloc(rank, (1ull + rank->n_params) *
						  sizeof(double),
				    (void **)&rank->scalars, err);
	if (!rc)
		rc = pfw_rank_alloc(rank, sizeof(*rank->clipped),
				    (void **)&rank->clipped, err);
	return rc ? rc : open_token_buffers(rank, err);
}

void pfw_rank_close_memory(struct pfw_rank *rank)
{
	for (uint32_t c = 0; rank->chunks && c < rank->n_chunks; c++) {
		free(rank->chunks[c].weights);
		free(rank->chunks[c].grads);
		free(rank->chunks[c].packed);
		free(rank->chunks[c].weights_act);
		free(rank->chunks[c].saved);
	}
	free(rank->chunks);
	free(rank->uses);
	free(rank->params);
	free(rank->grads);
	free(rank->updates);
	while (rank->n_blocks)
		rank->device_ops->free(rank->device_object,
				       rank->blocks[--rank->n_blocks]);
	free(rank->blocks);
	if (rank->queue)
		rank->device_ops->close_queue(rank->queue);
	if (rank->device_object)
		rank->device_ops->close(rank->device_object);
}

static int fill(struct pfw_rank *rank, const struct pfw_rank_param *p,
		struct pfw_checkpoint_reader *from, int moments,
		float *host, struct pfw_error *err)
{
	const struct pfw_device_ops *ops = rank->device_ops;
	float *to[3] = { p->weight, p->moment1, p->moment2 };
	int rc = 0;

	for (uint32_t part = 0; !rc && part < (moments ? 3u : 1u); part++) {
		if (from)
			rc = pfw_checkpoint_read(from, p->param, part, host,
						 err);
		else
			pfw_param_init(&rank->job->model->params[p->param].info,
				       rank->job->cfg->run.seed, 0, p->n, host);
		if (!rc)
			rc = ops->copy(rank->queue, to[part], host,
				       p->n * sizeof(float), PFW_COPY_IN, err);
		if (!rc)
			rc = ops->sync(rank->queue, err);
		/* Those who have less to load wait for our address. */
		atomic_fetch_add_explicit(&rank->boot->status->turns, 1,
					  memory_order_relaxed);
	}
	return rc;
}

int pfw_rank_load(struct pfw_rank *rank, struct pfw_error *err)
{
	const struct pfw_job *job = rank->job;
	const char *dir = job->resume ? job->resume : job->init;
	struct pfw_checkpoint_reader *from = NULL;
	uint64_t most = 1; /* a rank may hold none */
	float *host;
	int rc = 0;

	if (dir)
		rc = pfw_checkpoint_open_reader(dir, job->model,
						job->resume ? &rank->state : NULL,
						&from, err);
	if (rc)
		return rc;
	for (uint32_t i = 0; i < rank->n_params; i++)
		if (rank->params[i].n > most)
			most = rank->params[i].n;
	host = malloc(most * sizeof(float));
	if (!host)
		rc = pfw_error_set(err, ENOMEM,
				   "rank %u: no memory for %llu numbers",
				   rank->rank, (unsigned long long)most);
	for (uint32_t i = 0; !rc && i < rank->n_params; i++)
		rc = fill(rank, &rank->params[i], from, job->resume != NULL,
			  host, err);
	for (uint32_t i = 0; !rc && i < rank->n_params; i++)
		pfw_rank_form(rank, &rank->params[i], PFW_FORMS);
	free(host);
	pfw_checkpoint_close_reader(from);
	return rc;
}
