#include "cli/costs_read.h"

#include <errno.h>

int pfw_costs_read(struct pfw_registry *registry, const struct pfw_config *cfg,
		   struct pfw_costs_read *out, struct pfw_error *err)
{
	const char *dir = cfg->pipeline.cost_from;
	struct pfw_cut *cut = &out->cut;
	struct pfw_report *run;
	int rc;

	if (!dir)
		return 0;
	rc = pfw_report_read(registry, dir, &run, err);
	if (!rc) {
		rc = pfw_cut_open(run, cfg->pipeline.ranks *
				  cfg->pipeline.chunks, 0, cut, err);
		out->costs = (struct pfw_costs){
			.size = sizeof(out->costs),
			.forward = cut->forward,
			.input = cut->input,
			.weight = cut->weight,
			.hop = run->hop,
		};
		pfw_report_close(run);
	}
	if (rc) {
		pfw_error_prefix(err, "pipeline.cost_from: ");
		pfw_config_blame(cfg, "pipeline", err);
	}
	return rc;
}

void pfw_costs_read_close(struct pfw_costs_read *c)
{
	pfw_cut_close(&c->cut);
}

int pfw_costs_read_check(const struct pfw_costs_read *c,
			 const struct pfw_job *job, struct pfw_error *err)
{
	if (!c->cut.model || c->cut.model->n_layers == job->model->n_layers)
		return 0;
	pfw_error_set(err, EINVAL, "pipeline.cost_from must be a run of the "
		      "same model: its layers are %u, here they are %u",
		      c->cut.model->n_layers, job->model->n_layers);
	pfw_config_blame(job->cfg, "pipeline", err);
	return -EINVAL;
}
