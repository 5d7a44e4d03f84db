/*
 * F, B, I and W as graphs: what one of them enqueues on its slots is recorded
 * once, and from then on is one thing that the host asks for.
 *
 * A recording is used for a call that is equal in every byte.  So what differs
 * from step to step may not be in a call: the tokens of a micro-batch are copied to
 * where the call has them, weights lie where they lay, and the learning rate
 * belongs to OPT, which is not recorded.
 *
 * At first an action is done call by call, then as a graph; what it takes the
 * device, by its events, decides which way it stays.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/rank.h"

#define SAMPLES 3u /* of either way; the shortest counts */

/* What is done so often call by call before it is recorded. */
static uint32_t runs_before(const struct pfw_rank *rank)
{
	return rank->device.props.graphs == PFW_GRAPHS_ALWAYS ? 1 : 1 + SAMPLES;
}

/* The microbatch's tokens, in one place for all of them. */
static int open_tokens(struct pfw_rank *rank, struct pfw_error *err)
{
	uint64_t bytes = (uint64_t)rank->shape.batch * rank->shape.seq *
			 sizeof(int32_t);
	int rc = pfw_rank_alloc(rank, bytes, (void **)&rank->graphs.tokens, err);

	return rc ? rc : pfw_rank_alloc(rank, bytes,
					(void **)&rank->graphs.targets, err);
}

static int can_have_graphs(const struct pfw_rank *rank)
{
	return rank->job->programs[PFW_PROGRAM_TRAIN].program &&
	       rank->device_ops->begin_graph && rank->device_ops->elapsed &&
	       !(rank->job->model->ops->flags & PFW_STAGE_SLEEPS);
}

const char *pfw_rank_graphs_text(const struct pfw_rank *rank)
{
	if (!can_have_graphs(rank))
		return NULL;
	switch (rank->device.props.graphs) {
	case PFW_GRAPHS_ALWAYS:
		return "on: each F, B, I and W, once it has been done";
	case PFW_GRAPHS_AUTO:
		return "auto: each F, B, I and W that the first steps find "
		       "faster so";
	default:
		return "off";
	}
}

int pfw_rank_open_graphs(struct pfw_rank *rank, struct pfw_error *err)
{
	const struct pfw_program *train =
		rank->job->programs[PFW_PROGRAM_TRAIN].program;
	struct pfw_graphs *g = &rank->graphs;
	size_t n;

	if (!can_have_graphs(rank) || !rank->timing.items ||
	    !rank->device.props.graphs)
		return 0;
	n = train->rank[rank->rank].n;
	g->of_op = calloc(n, sizeof(*g->of_op));
	g->items = calloc(n, sizeof(*g->items));
	if (!g->of_op || !g->items)
		return pfw_error_set(err, ENOMEM, "out of memory");
	g->capacity = (uint32_t)n;
	return rank->device_tokens ? open_tokens(rank, err) : 0;
}

void pfw_rank_close_graphs(struct pfw_rank *rank)
{
	struct pfw_graphs *g = &rank->graphs;

	if (g->items)
		rank->device_ops->sync(rank->queue, NULL);
	for (uint32_t i = 0; i < g->n; i++)
		if (g->items[i].object)
			rank->device_ops->close_graph(g->items[i].object);
	free(g->items);
	free(g->of_op);
	*g = (struct pfw_graphs){ 0 };
}

/* To where all micro-batches have theirs; who does not read them has none. */
static int bring(struct pfw_rank *rank, int reads, int32_t *to,
		 const int32_t **tokens, struct pfw_error *err)
{
	uint64_t bytes = (uint64_t)rank->shape.batch * rank->shape.seq *
			 sizeof(int32_t);
	const int32_t *from = *tokens;

	if (!from || !to)
		return 0;
	*tokens = reads ? to : NULL;
	return reads ? rank->device_ops->copy(rank->queue, to, from, bytes,
					      PFW_COPY_ON, err) : 0;
}

static int bring_tokens(struct pfw_rank *rank, const struct pfw_op *op,
			struct pfw_call *call, struct pfw_error *err)
{
	const struct pfw_graphs *g = &rank->graphs;
	int last = op->stage + 1 == pfw_job_placement(rank->job)->stages;
	int rc = bring(rank, op->stage == 0, g->tokens, &call->tokens, err);

	return rc ? rc : bring(rank, last && op->type != PFW_FORWARD,
			       g->targets, &call->targets, err);
}

static int is_of(const struct pfw_graph *g, const struct pfw_op *op,
		 const struct pfw_call *call)
{
	return g->type == op->type && !memcmp(&g->call, call, sizeof(*call));
}

/* The one for this call, made where there is none. */
static struct pfw_graph *find(struct pfw_rank *rank, const struct pfw_op *op,
			      const struct pfw_call *call)
{
	const struct pfw_program *train =
		rank->job->programs[PFW_PROGRAM_TRAIN].program;
	struct pfw_graphs *g = &rank->graphs;
	struct pfw_graph **here = &g->of_op[op - train->rank[rank->rank].ops];

	if (*here && is_of(*here, op, call))
		return *here;
	for (uint32_t i = 0; i < g->n; i++)
		if (is_of(&g->items[i], op, call))
			return *here = &g->items[i];
	if (g->n == g->capacity)
		return NULL;
	*here = &g->items[g->n++];
	(*here)->call = *call;
	(*here)->type = op->type;
	return *here;
}

static int record(struct pfw_rank *rank, struct pfw_graph *g,
		  void (*run)(void *model, const struct pfw_call *call),
		  struct pfw_error *err)
{
	const struct pfw_device_ops *ops = rank->device_ops;
	int rc = ops->begin_graph(rank->queue, err);

	if (rc)
		return rc;
	run(rank->job->model->object, &g->call);
	return ops->end_graph(rank->queue, &g->object, err);
}

static void settle(struct pfw_rank *rank, struct pfw_graph *g)
{
	rank->graphs.settled += !g->settled;
	g->settled = 1;
}

/* What cannot be recorded is done call by call, unless that was not asked for. */
static int give_up(struct pfw_rank *rank, struct pfw_graph *g,
		   const struct pfw_error *fault, int rc, struct pfw_error *err)
{
	struct pfw_event event = { .type = PFW_EVENT_NOTE };

	if (rank->device.props.graphs == PFW_GRAPHS_ALWAYS)
		return pfw_error_set(err, -rc, "%s (graphs = \"on\")",
				     fault->text);
	rank->graphs.failed = 1;
	settle(rank, g);
	snprintf(event.text, sizeof(event.text),
		 "  graphs     rank %u: no more of them: %.900s", rank->rank,
		 fault->text);
	return rank->boot->ops->tell(rank->boot, &event, err);
}

/* Records it, if now is the time, and says what this run is a sample of. */
static int prepare(struct pfw_rank *rank, struct pfw_graph *g,
		   void (*run)(void *model, const struct pfw_call *call),
		   struct pfw_error *err)
{
	const uint32_t before = runs_before(rank);
	struct pfw_error fault = { 0 };
	int rc;

	rank->sample = !g->runs ? PFW_SAMPLE_NONE :
		       g->object ? PFW_SAMPLE_GRAPH : PFW_SAMPLE_CALLS;
	if (g->runs > before || g->runs++ < before || rank->graphs.failed)
		return 0;
	rank->sample = PFW_SAMPLE_NONE;
	rc = record(rank, g, run, &fault);
	return rc ? give_up(rank, g, &fault, rc, err) : 0;
}

int pfw_rank_do_call(struct pfw_rank *rank, const struct pfw_op *op,
		     void (*run)(void *model, const struct pfw_call *call),
		     struct pfw_call *call, struct pfw_error *err)
{
	struct pfw_graph *g = NULL;
	int rc = 0;

	if (op && rank->graphs.items) {
		rc = bring_tokens(rank, op, call, err);
		g = find(rank, op, call);
	}
	if (!rc && g)
		rc = prepare(rank, g, run, err);
	if (rc)
		return rc;
	rank->graph = g;
	if (g && g->object)
		return rank->device_ops->run_graph(rank->queue, g->object, err);
	run(rank->job->model->object, call);
	return 0;
}

void pfw_rank_graph_took(struct pfw_rank *rank, struct pfw_graph *g,
			 uint32_t sample, uint64_t ns)
{
	if (sample == PFW_SAMPLE_NONE || g->settled)
		return;
	if (!g->timed[sample]++ || ns < g->best_ns[sample])
		g->best_ns[sample] = ns;
	if (g->timed[PFW_SAMPLE_GRAPH] < SAMPLES)
		return;
	settle(rank, g);
	if (rank->device.props.graphs == PFW_GRAPHS_ALWAYS ||
	    g->best_ns[PFW_SAMPLE_GRAPH] <= g->best_ns[PFW_SAMPLE_CALLS])
		return;
	rank->device_ops->close_graph(g->object);
	g->object = NULL;
}

int pfw_rank_tell_graphs(struct pfw_rank *rank, struct pfw_error *err)
{
	struct pfw_graphs *g = &rank->graphs;
	struct pfw_event event = { .type = PFW_EVENT_NOTE };
	uint64_t ns[2] = { 0 };
	uint32_t kept = 0;
	int n;

	if (g->told || g->failed || !g->n || g->settled < g->n)
		return 0;
	for (uint32_t i = 0; i < g->n; i++) {
		kept += g->items[i].object != NULL;
		for (uint32_t s = 0; s < 2; s++)
			ns[s] += g->items[i].best_ns[s];
	}
	g->told = 1;
	n = snprintf(event.text, sizeof(event.text),
		     "  graphs     rank %u: %u of %u actions", rank->rank, kept,
		     g->n);
	if (rank->device.props.graphs != PFW_GRAPHS_ALWAYS)
		snprintf(event.text + n, sizeof(event.text) - (size_t)n,
			 "; all of them as graphs %.3f ms, call by call %.3f ms",
			 (double)ns[1] / 1e6, (double)ns[0] / 1e6);
	return rank->boot->ops->tell(rank->boot, &event, err);
}
