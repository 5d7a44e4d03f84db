/*
 * Generation: one sequence goes through the pipeline, the last stage's rank
 * samples the next token, and all ranks learn it.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/philox.h"
#include "runtime/rank.h"

/* Lengths that differ little share a shape. */
#define SEQ_STEP 32u

static const struct pfw_awaited token_action = { PFW_FORWARD, PFW_NONE,
						 PFW_NONE };

struct text {
	int32_t *tokens;  /* prompt and what was generated */
	uint32_t n;
	int32_t *window;  /* [context]: what the model sees, 0 behind it */
	float *row;       /* [vocab]: host */
	uint32_t *order;  /* [vocab]: by falling score */
};

static void free_text(struct text *t)
{
	free(t->tokens);
	free(t->window);
	free(t->row);
	free(t->order);
}

static int open_text(const struct pfw_rank *rank, struct text *t,
		     struct pfw_error *err)
{
	const struct pfw_job *job = rank->job;
	size_t n = (size_t)job->n_prompt + job->n_tokens;

	memset(t, 0, sizeof(*t));
	t->tokens = malloc((n + 1) * sizeof(*t->tokens));
	t->window = calloc(job->model->context, sizeof(*t->window));
	t->row = malloc(job->model->vocab * sizeof(*t->row));
	t->order = malloc(job->model->vocab * sizeof(*t->order));
	if (!t->tokens || !t->window || !t->row || !t->order) {
		free_text(t);
		return pfw_error_set(err, ENOMEM, "out of memory");
	}
	memcpy(t->tokens, job->prompt, job->n_prompt * sizeof(*t->tokens));
	t->n = job->n_prompt;
	return 0;
}

/* The last tokens that fit the context; gives how many. */
static uint32_t look_back(struct pfw_rank *rank, struct text *t)
{
	uint32_t context = rank->job->model->context;
	uint32_t n = t->n < context ? t->n : context;
	uint32_t seq = (n + SEQ_STEP - 1) / SEQ_STEP * SEQ_STEP;

	memset(t->window, 0, context * sizeof(*t->window));
	memcpy(t->window, t->tokens + (t->n - n), n * sizeof(*t->window));
	rank->shape.seq = seq < context ? seq : context;
	return n;
}

/* Heaviest first; equal scores by number, so that the order is one. */
static void sift(uint32_t *order, const float *row, uint32_t from, uint32_t n)
{
	for (;;) {
		uint32_t child = 2 * from + 1, least = from, tmp;

		for (uint32_t c = child; c < child + 2 && c < n; c++)
			if (row[order[c]] < row[order[least]] ||
			    (row[order[c]] == row[order[least]] &&
			     order[c] > order[least]))
				least = c;
		if (least == from)
			return;
		tmp = order[from];
		order[from] = order[least];
		order[least] = tmp;
		from = least;
	}
}

static void sort_scores(struct text *t, uint32_t vocab)
{
	for (uint32_t i = 0; i < vocab; i++)
		t->order[i] = i;
	for (uint32_t i = vocab / 2; i-- > 0;)
		sift(t->order, t->row, i, vocab);
	for (uint32_t n = vocab; n > 1; n--) {
		uint32_t tmp = t->order[0];

		t->order[0] = t->order[n - 1];
		t->order[n - 1] = tmp;
		sift(t->order, t->row, 0, n - 1);
	}
}

/* From softmax(row / temperature), of the top_k best where that is set. */
static int32_t sample(const struct pfw_job *job, struct text *t)
{
	const uint32_t counter[4] = { t->n, 0, 0, 0x73616d70u };
	uint32_t vocab = job->model->vocab, k = job->top_k, random[4];
	double total = 0, at;

	sort_scores(t, vocab);
	if (!(job->temperature > 0))
		return (int32_t)t->order[0];
	if (!k || k > vocab)
		k = vocab;
	for (uint32_t i = 0; i < k; i++)
		total += exp((t->row[t->order[i]] - t->row[t->order[0]]) /
			     job->temperature);
	pfw_philox(counter, job->cfg->run.seed, random);
	at = (random[0] + 0.5) / 4294967296.0 * total;
	for (uint32_t i = 0; i < k; i++) {
		at -= exp((t->row[t->order[i]] - t->row[t->order[0]]) /
			  job->temperature);
		if (at <= 0)
			return (int32_t)t->order[i];
	}
	return (int32_t)t->order[k - 1];
}

static int send_token(struct pfw_rank *rank, uint32_t to, int32_t token,
		      struct pfw_error *err)
{
	uint32_t edge = pfw_job_edge(rank->job, rank->rank, to,
				     PFW_CHANNEL_SCALAR, PFW_NONE);

	return pfw_end_send_next(rank, &rank->ends[edge], PFW_PROGRAM_GENERATE,
				 &token_action, &token, sizeof(token), err);
}

static int receive_token(struct pfw_rank *rank, uint32_t from, int32_t *token,
			 struct pfw_error *err)
{
	uint32_t slot, edge = pfw_job_edge(rank->job, from, rank->rank,
					   PFW_CHANNEL_SCALAR, PFW_NONE);
	const void *data;
	int rc = pfw_end_receive_next(rank, &rank->ends[edge],
				      PFW_PROGRAM_GENERATE, &token_action,
				      sizeof(*token), &data, &slot, err);

	if (rc)
		return rc;
	memcpy(token, data, sizeof(*token));
	return pfw_end_release(rank, &rank->ends[edge], slot, err);
}

/* From the last stage's rank to rank 0, and from there to all others. */
static int share_token(struct pfw_rank *rank, int32_t *token,
		       struct pfw_error *err)
{
	uint32_t last = pfw_rank_last(rank);
	int rc = 0;

	if (rank->rank == last)
		return last ? send_token(rank, 0, *token, err) : 0;
	if (rank->rank)
		return receive_token(rank, 0, token, err);
	rc = receive_token(rank, last, token, err);
	for (uint32_t r = 1; !rc && r < rank->boot->ranks; r++)
		if (r != last)
			rc = send_token(rank, r, *token, err);
	return rc;
}

/* Rank 0 with the last stage has nobody to hear from, only to tell. */
static int tell_all(struct pfw_rank *rank, int32_t token, struct pfw_error *err)
{
	int rc = 0;

	for (uint32_t r = 1; !rc && r < rank->boot->ranks; r++)
		rc = send_token(rank, r, token, err);
	return rc;
}

static int set_tokens(struct pfw_rank *rank, const struct text *t,
		      struct pfw_error *err)
{
	uint64_t bytes = rank->job->model->context * sizeof(*t->window);

	rank->tokens = t->window;
	if (!rank->device_tokens)
		return 0;
	rank->tokens = rank->device_tokens;
	return rank->device_ops->copy(rank->queue, rank->device_tokens,
				      t->window, bytes, PFW_COPY_IN, err);
}

static int next_token(struct pfw_rank *rank, struct text *t, int32_t *token,
		      struct pfw_error *err)
{
	uint32_t vocab = rank->job->model->vocab, last = pfw_rank_last(rank);
	uint32_t n = look_back(rank, t);
	int rc = set_tokens(rank, t, err);

	if (!rc)
		rc = pfw_rank_run(rank, PFW_PROGRAM_GENERATE, err);
	if (!rc && rank->rank == last) {
		rc = pfw_rank_read(rank, t->row,
				   rank->logits + (uint64_t)(n - 1) * vocab,
				   vocab * sizeof(float), err);
		if (!rc)
			*token = rank->boot->ops->stopping(rank->boot) ?
					 -1 : sample(rank->job, t);
	}
	if (rc)
		return rc;
	if (!last && !rank->rank)
		return tell_all(rank, *token, err);
	return share_token(rank, token, err);
}

int pfw_rank_generate(struct pfw_rank *rank, struct pfw_error *err)
{
	const struct pfw_model *model = rank->job->model;
	struct pfw_event event = { .type = PFW_EVENT_TOKEN };
	struct text t;
	int rc = open_text(rank, &t, err);

	if (rc)
		return rc;
	if (rank->rank == pfw_rank_last(rank))
		rc = pfw_rank_alloc(rank, (uint64_t)model->context *
						  model->vocab * sizeof(float),
				    (void **)&rank->logits, err);
	for (uint32_t i = 0; !rc && i < rank->job->n_tokens; i++) {
		rc = next_token(rank, &t, &t.tokens[t.n], err);
		if (rc)
			break;
		if (t.tokens[t.n] < 0) /* the user wants an end */
			break;
		event.code = t.tokens[t.n++];
		rank->state.step++;
		if (!rank->rank)
			rc = rank->boot->ops->tell(rank->boot, &event, err);
	}
	free_text(&t);
	return rc;
}
