/* The same step twice: as it ran, and as the simulator has it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/report.h"

static size_t count_typical(const struct pfw_report *r, uint32_t k)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n_records[k]; i++)
		n += r->records[k][i].step == r->typical &&
		     pfw_is_compute(r->records[k][i].type);
	return n;
}

static struct pfw_simulation *new_picture(const struct pfw_report *r)
{
	const struct pfw_program *p = r->program;
	struct pfw_simulation *sim = calloc(1, sizeof(*sim));
	size_t n = 0;

	if (!sim)
		return NULL;
	for (uint32_t k = 0; k < p->ranks; k++)
		n += count_typical(r, k);
	sim->ranks = p->ranks;
	sim->chunks = p->chunks;
	sim->microbatches = p->microbatches;
	sim->stages = p->stages;
	sim->rank_of = calloc(p->stages, sizeof(*sim->rank_of));
	sim->chunk_of = calloc(p->stages, sizeof(*sim->chunk_of));
	sim->rank = calloc(p->ranks, sizeof(*sim->rank));
	sim->actions = calloc(n + 1, sizeof(*sim->actions));
	if (!sim->rank_of || !sim->chunk_of || !sim->rank || !sim->actions) {
		pfw_simulation_free(sim);
		return NULL;
	}
	memcpy(sim->rank_of, p->rank_of, p->stages * sizeof(*sim->rank_of));
	memcpy(sim->chunk_of, p->chunk_of, p->stages * sizeof(*sim->chunk_of));
	return sim;
}

static uint64_t zero_of(const struct pfw_report *r)
{
	uint64_t zero = UINT64_MAX;

	for (uint32_t k = 0; k < r->program->ranks; k++)
		for (size_t i = 0; i < r->n_records[k]; i++) {
			const struct pfw_trace_record *a = &r->records[k][i];

			if (a->step == r->typical && pfw_is_compute(a->type) &&
			    a->start < zero)
				zero = a->start;
		}
	return zero;
}

/* The typical step in the form that is drawn. */
static int draw_measured(struct pfw_report *r, struct pfw_error *err)
{
	struct pfw_simulation *sim = new_picture(r);
	uint64_t zero = zero_of(r);

	if (!sim)
		return pfw_error_set(err, ENOMEM, "out of memory");
	for (uint32_t k = 0; k < sim->ranks; k++) {
		sim->rank[k].first = sim->n_actions;
		for (size_t i = 0; i < r->n_records[k]; i++) {
			const struct pfw_trace_record *a = &r->records[k][i];
			struct pfw_sim_action *b = &sim->actions[sim->n_actions];

			if (a->step != r->typical || !pfw_is_compute(a->type))
				continue;
			*b = (struct pfw_sim_action){
				.type = a->type, .stage = a->stage,
				.microbatch = a->microbatch, .after = PFW_NONE,
				.start = (int64_t)(a->start - zero),
				.end = (int64_t)(a->end - zero),
			};
			sim->n_actions++;
			sim->busy += b->end - b->start;
			sim->rank[k].busy += b->end - b->start;
			if (b->end > sim->step_time)
				sim->step_time = b->end;
		}
		sim->rank[k].n = sim->n_actions - sim->rank[k].first;
	}
	r->measured = sim;
	return 0;
}

/* Layers that sleep have nothing measured in it; what a filter adds to a hop
 * is not known here. */
static int predict_as_set(struct pfw_report *r, const struct pfw_compile *like,
			  struct pfw_error *err)
{
	uint32_t n = r->program->stages;
	int64_t *each = malloc(3 * n * sizeof(*each));
	struct pfw_costs costs = {
		.size = sizeof(costs),
		.forward = each,
	};
	struct pfw_compile how = *like;
	struct pfw_simulation *sim;
	int rc;

	if (!each)
		return pfw_error_set(err, ENOMEM, "out of memory");
	for (uint32_t s = 0; s < n; s++) {
		const struct pfw_model_stage *stage = &r->model->stages[s];

		each[s] = (int64_t)stage->flops_forward;
		each[n + s] = (int64_t)stage->flops_input;
		each[2 * n + s] = (int64_t)stage->flops_weight;
	}
	costs.input = each + n;
	costs.weight = each + 2 * n;
	how.costs = &costs;
	rc = pfw_simulate(&how, r->program, &sim, err);
	if (!rc) {
		r->set_step = sim->step_time;
		pfw_simulation_free(sim);
	}
	free(each);
	return rc;
}

int pfw_report_predict(struct pfw_report *r, struct pfw_error *err)
{
	struct pfw_costs costs = {
		.size = sizeof(costs),
		.forward = r->forward,
		.input = r->input,
		.weight = r->weight,
		.hop = r->hop,
	};
	struct pfw_compile how = {
		.plan = r->plan,
		.costs = &costs,
		.order_any = r->cfg->pipeline.order_any,
	};
	int rc = draw_measured(r, err);

	if (!rc)
		rc = pfw_simulate(&how, r->program, &r->predicted, err);
	if (rc || !(r->model->ops->flags & PFW_STAGE_SLEEPS) ||
	    r->cfg->transport.n_filters || r->cfg->remote.n_filters)
		return rc;
	return predict_as_set(r, &how, err);
}

double pfw_report_off(const struct pfw_report *r, int64_t step)
{
	return step > 0 ? 100 * (r->window / (double)step - 1) : 0;
}
