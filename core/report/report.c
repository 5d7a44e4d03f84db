#include "report/report.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "runtime/planned.h"

static int open_program(struct pfw_report *r, struct pfw_error *err)
{
	const struct pfw_config *cfg = r->cfg;
	struct pfw_compile how = { .order_any = cfg->pipeline.order_any };
	struct pfw_call_shape call = {
		.size = sizeof(call),
		.batch = cfg->pipeline.microbatch_size,
		.act_dtype = cfg->dtype,
	};
	int rc = pfw_config_plan(cfg, NULL, &r->plan, err);

	how.plan = r->plan;
	if (!rc)
		rc = pfw_program_compile(&how, &r->program, err);
	if (rc)
		return rc;
	call.split = r->program->splits != 0;
	return pfw_model_open(cfg->model.plugin, cfg->model.values, &call,
			      r->program->stages, cfg->pipeline.layout,
			      &r->model, err);
}

static int open_books(struct pfw_report *r, struct pfw_error *err)
{
	uint32_t p = r->program->ranks, s = r->program->stages;

	r->records = calloc(p, sizeof(*r->records));
	r->n_records = calloc(p, sizeof(*r->n_records));
	r->rank = calloc(p, sizeof(*r->rank));
	r->forward = calloc(s, sizeof(*r->forward));
	r->input = calloc(s, sizeof(*r->input));
	r->weight = calloc(s, sizeof(*r->weight));
	if (!r->records || !r->n_records || !r->rank || !r->forward ||
	    !r->input || !r->weight)
		return pfw_error_set(err, ENOMEM, "out of memory");
	for (uint32_t k = 0; k < p; k++) {
		r->rank[k].waits = calloc(p, sizeof(double));
		if (!r->rank[k].waits)
			return pfw_error_set(err, ENOMEM, "out of memory");
	}
	return 0;
}

static int read_traces(struct pfw_report *r, struct pfw_error *err)
{
	int rc = 0;

	for (uint32_t k = 0; !rc && k < r->program->ranks; k++)
		rc = pfw_trace_read(r->dir, k, &r->records[k],
				    &r->n_records[k], err);
	if (rc == -ENOENT)
		rc = pfw_error_set(err, ENOENT,
				   "%s: no trace here: run it again with "
				   "--trace FILE, then report", r->dir);
	return rc;
}

int pfw_report_read(struct pfw_registry *registry, const char *dir,
		    struct pfw_report **out, struct pfw_error *err)
{
	struct pfw_report *r;
	char path[PATH_MAX];
	struct stat st;
	int rc;

	if (stat(dir, &st) || !S_ISDIR(st.st_mode))
		return pfw_error_set(err, ENOTDIR, "%s: there is no such folder",
				     dir);
	r = calloc(1, sizeof(*r));
	if (!r || !(r->dir = strdup(dir))) {
		free(r);
		return pfw_error_set(err, ENOMEM, "out of memory");
	}
	rc = pfw_path_join(path, sizeof(path), dir, "config.cfg", err);
	if (!rc)
		rc = pfw_config_load(registry, path, NULL, 0, &r->cfg, err);
	if (!rc)
		rc = open_program(r, err);
	if (!rc)
		rc = open_books(r, err);
	if (!rc)
		rc = read_traces(r, err);
	if (!rc)
		rc = pfw_report_measure(r, err);
	if (rc)
		pfw_report_close(r);
	else
		*out = r;
	return rc;
}

int pfw_report_open(struct pfw_registry *registry, const char *dir,
		    struct pfw_report **out, struct pfw_error *err)
{
	struct pfw_report *r;
	int rc = pfw_report_read(registry, dir, &r, err);

	if (rc)
		return rc;
	rc = pfw_report_predict(r, err);
	if (!rc)
		rc = pfw_report_advise(r, registry, err);
	if (!rc)
		rc = pfw_report_curves(r, err);
	if (rc)
		pfw_report_close(r);
	else
		*out = r;
	return rc;
}

void pfw_report_close(struct pfw_report *r)
{
	uint32_t p = r && r->program ? r->program->ranks : 0;

	if (!r)
		return;
	for (uint32_t k = 0; k < p; k++) {
		if (r->records)
			free(r->records[k]);
		if (r->rank)
			free(r->rank[k].waits);
	}
	free(r->records);
	free(r->n_records);
	free(r->rank);
	free(r->forward);
	free(r->input);
	free(r->weight);
	free(r->losses);
	free(r->valid);
	pfw_simulation_free(r->measured);
	pfw_simulation_free(r->predicted);
	pfw_model_close(r->model);
	pfw_program_free(r->program);
	pfw_schedule_plan_free(r->plan);
	pfw_config_free(r->cfg);
	free(r->dir);
	free(r);
}
