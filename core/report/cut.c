/* What was measured of one cut of a model into stages, told of another. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/report.h"

static uint32_t stage_of_layer(const struct pfw_model *model, uint32_t layer)
{
	uint32_t s = 0;

	while (s + 1 < model->n_stages &&
	       layer >= model->stages[s].first_layer + model->stages[s].n_layers)
		s++;
	return s;
}

static double ratio(double part, double whole)
{
	return whole > 0 ? part / whole : 0;
}

/* Where I and W were measured apart they stay so; a whole backward is split by
 * work. */
static void backward_of(const struct pfw_report *r, uint32_t stage,
			double *input, double *weight)
{
	const struct pfw_model_stage *s = &r->model->stages[stage];

	*input = (double)r->input[stage];
	*weight = (double)r->weight[stage];
	if (r->program->splits)
		return;
	*weight = *input * ratio(s->flops_weight,
				 s->flops_input + s->flops_weight);
	*input -= *weight;
}

static void copy_stages(const struct pfw_report *r, struct pfw_cut *c)
{
	for (uint32_t s = 0; s < r->model->n_stages; s++) {
		double input, weight;

		backward_of(r, s, &input, &weight);
		c->forward[s] = r->forward[s];
		c->weight[s] = (int64_t)weight;
		c->input[s] = r->input[s] + r->weight[s] - c->weight[s];
	}
}

/* A layer's share of its measured stage, by work. */
static void add_layer(const struct pfw_report *r, uint32_t layer,
		      struct pfw_cut *c, uint32_t to)
{
	uint32_t from = stage_of_layer(r->model, layer);
	const struct pfw_model_stage *s = &r->model->stages[from];
	const struct pfw_layer *l = &r->model->layers[layer];
	double input, weight;

	backward_of(r, from, &input, &weight);
	c->forward[to] += (int64_t)((double)r->forward[from] *
				    ratio(l->flops_forward, s->flops_forward));
	c->input[to] += (int64_t)(input * ratio(l->flops_input, s->flops_input));
	c->weight[to] += (int64_t)(weight * ratio(l->flops_weight,
						  s->flops_weight));
}

int pfw_cut_open(const struct pfw_report *r, uint32_t stages, int splits,
		 struct pfw_cut *c, struct pfw_error *err)
{
	const char *layout = stages == r->program->stages ?
				     r->cfg->pipeline.layout : NULL;
	struct pfw_call_shape shape = r->model->shape;
	int rc;

	memset(c, 0, sizeof(*c));
	shape.split = splits != 0;
	rc = pfw_model_open(r->cfg->model.plugin, r->cfg->model.values, &shape,
			    stages, layout, &c->model, err);
	if (rc)
		return rc;
	c->forward = calloc(stages, sizeof(*c->forward));
	c->input = calloc(stages, sizeof(*c->input));
	c->weight = calloc(stages, sizeof(*c->weight));
	if (!c->forward || !c->input || !c->weight) {
		pfw_cut_close(c);
		return pfw_error_set(err, ENOMEM, "out of memory");
	}
	if (stages == r->program->stages)
		copy_stages(r, c);
	for (uint32_t l = 0; stages != r->program->stages &&
			     l < c->model->n_layers; l++)
		add_layer(r, l, c, stage_of_layer(c->model, l));
	return 0;
}

void pfw_cut_close(struct pfw_cut *c)
{
	pfw_model_close(c->model);
	free(c->forward);
	free(c->input);
	free(c->weight);
	*c = (struct pfw_cut){ 0 };
}
