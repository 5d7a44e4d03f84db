/* The effective config, in libconfig's syntax: read again, it is the same. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "settings/config.h"
#include "settings/values.h"

/* A file's name may be other bytes than UTF-8; a config may not. */
static void write_string(FILE *to, const char *s)
{
	size_t len = strlen(s), n;
	uint32_t c;

	fputc('"', to);
	for (; len; s += n, len -= n) {
		n = pfw_utf8_get(s, len, &c);
		if (n == 0 || c < ' ' || c == 0x7f) {
			fprintf(to, "\\x%02x", (unsigned char)*s);
			n = 1;
		} else {
			if (c == '"' || c == '\\')
				fputc('\\', to);
			fwrite(s, 1, n, to);
		}
	}
	fputc('"', to);
}

/* With a point or an exponent: it must not be read as an integer. */
static void write_float(FILE *to, double x)
{
	char text[40];

	snprintf(text, sizeof(text), "%.15g", x);
	if (strtod(text, NULL) != x)
		snprintf(text, sizeof(text), "%.17g", x);
	fprintf(to, "%s%s", text, strpbrk(text, ".e") ? "" : ".0");
}

static void write_value(FILE *to, const struct pfw_option *o,
			const struct pfw_value *v)
{
	fprintf(to, "%s = ", o->name);
	switch (o->type) {
	case PFW_OPT_INT:
		fprintf(to, "%" PRId64 "%s", v->i,
			v->i > INT_MAX || v->i < INT_MIN ? "L" : "");
		break;
	case PFW_OPT_FLOAT:
		write_float(to, v->f);
		break;
	case PFW_OPT_BOOL:
		fputs(v->i ? "true" : "false", to);
		break;
	case PFW_OPT_FLOATS:
		fputc('[', to);
		for (uint32_t i = 0; i < v->n; i++) {
			fputs(i ? ", " : "", to);
			write_float(to, v->list[i]);
		}
		fputc(']', to);
		break;
	default:
		write_string(to, v->s);
		break;
	}
	fputc(';', to);
}

static void write_values(FILE *to, const struct pfw_values *values,
			 const char *before, const char *except)
{
	for (uint32_t i = 0; i < values->n; i++) {
		if (values->v[i].state == PFW_VALUE_UNSET ||
		    !strcmp(values->options[i].name, except))
			continue;
		fputs(before, to);
		write_value(to, &values->options[i], &values->v[i]);
	}
}

/* "name = "x"; options": what is within the braces. */
static void write_choice(FILE *to, const struct pfw_choice *c, const char *key,
			 const char *before)
{
	fprintf(to, "%s%s = ", before, key);
	write_string(to, c->word);
	fputc(';', to);
	write_values(to, c->values, before, "");
}

static void write_transport(FILE *to, const struct pfw_transport_choice *t,
			    const char *before)
{
	write_choice(to, &t->transport, "name", before);
	fprintf(to, "%sfilters = (", before);
	for (uint32_t i = 0; i < t->n_filters; i++) {
		fprintf(to, "%s%s\t{", i ? "," : "", before);
		write_choice(to, &t->filters[i], "name", " ");
		fputs(" }", to);
	}
	if (t->n_filters)
		fputs(before, to);
	fputs(");", to);
}

static void write_transports(FILE *to, const struct pfw_config *cfg)
{
	fputs("transport = {", to);
	write_transport(to, &cfg->transport, "\n\t");
	if (cfg->remote.transport.plugin) {
		fputs("\n\tremote = {", to);
		write_transport(to, &cfg->remote, "\n\t\t");
		fputs("\n\t};", to);
	}
	fputs("\n};\n", to);
}

/* A host has its own folders, and as many threads as it has cores. */
static int is_of_host(const struct pfw_option *o, const char *group)
{
	return o->flags & PFW_OPTION_PATH ||
	       (!strcmp(group, "device.") && !strcmp(o->name, "threads"));
}

static void write_common(FILE *to, const struct pfw_values *values,
			 const char *group)
{
	for (uint32_t i = 0; i < values->n; i++) {
		if (values->v[i].state == PFW_VALUE_UNSET ||
		    is_of_host(&values->options[i], group))
			continue;
		fputs(group, to);
		write_value(to, &values->options[i], &values->v[i]);
		fputc('\n', to);
	}
}

static void write_chosen(FILE *to, const struct pfw_choice *c,
			 const char *what)
{
	fprintf(to, "%s = %s\n", what,
		c->plugin ? c->plugin->info.name : "none");
}

static void write_exceptions(FILE *to, const struct pfw_config *cfg)
{
	fputs("\n\texcept = (", to);
	for (uint32_t i = 0; i < cfg->n_exceptions; i++) {
		const struct pfw_device_choice *e = &cfg->exceptions[i];

		fprintf(to, "%s\n\t\t{ ranks = \"%u-%u\";", i ? "," : "",
			e->first, e->last);
		write_choice(to, &e->device, "name", " ");
		fputs(" }", to);
	}
	fputs(cfg->n_exceptions ? "\n\t);" : ");", to);
}

static void write_stack(FILE *to, const struct pfw_transport_choice *t,
			const char *what)
{
	write_chosen(to, &t->transport, what);
	for (uint32_t i = 0; i < t->n_filters; i++)
		write_chosen(to, &t->filters[i], "its filters");
}

void pfw_config_write_common(const struct pfw_config *cfg, FILE *to)
{
	write_common(to, cfg->groups[PFW_GROUP_RUN], "run.");
	write_chosen(to, &cfg->model, "model.stage");
	write_common(to, cfg->model.values, "model.");
	write_chosen(to, &cfg->schedule, "pipeline.schedule.name");
	if (cfg->schedule.values)
		write_common(to, cfg->schedule.values, "pipeline.schedule.");
	write_common(to, cfg->groups[PFW_GROUP_PIPELINE], "pipeline.");
	write_stack(to, &cfg->transport, "transport.name");
	write_stack(to, &cfg->remote, "transport.remote.name");
	write_chosen(to, &cfg->device, "device.name");
	for (uint32_t i = 0; i < cfg->n_exceptions; i++) {
		fprintf(to, "from rank %u to rank %u ", cfg->exceptions[i].first,
			cfg->exceptions[i].last);
		write_chosen(to, &cfg->exceptions[i].device, "device.name");
	}
	write_common(to, cfg->groups[PFW_GROUP_DEVICE], "device.");
	write_common(to, cfg->groups[PFW_GROUP_OPTIMIZER], "optimizer.");
	write_common(to, cfg->groups[PFW_GROUP_DATA], "data.");
}

/* A schedule in a file is planned: for which costs is not asked any more. */
static void write_pipeline(FILE *to, const struct pfw_config *cfg,
			   const char *before)
{
	const struct pfw_values *v = cfg->groups[PFW_GROUP_PIPELINE];

	for (uint32_t i = 0; i < v->n; i++) {
		const char *name = v->options[i].name;

		if (v->v[i].state == PFW_VALUE_UNSET ||
		    !strcmp(name, "schedule") ||
		    (cfg->schedule_file && !strcmp(name, "cost_from")))
			continue;
		fputs(before, to);
		write_value(to, &v->options[i], &v->v[i]);
	}
}

int pfw_config_write(const struct pfw_config *cfg, FILE *to,
		     struct pfw_error *err)
{
	static const char line[] = "\n\t";

	fputs("# What this run was configured to do, every key.\nrun = {", to);
	write_values(to, cfg->groups[PFW_GROUP_RUN], line, "");
	fputs("\n};\nmodel = {", to);
	write_choice(to, &cfg->model, "stage", line);
	fputs("\n};\npipeline = {\n\tschedule = {", to);
	if (cfg->schedule_file) {
		fputs(" file = ", to);
		write_string(to, cfg->schedule_file);
		fputc(';', to);
	} else {
		write_choice(to, &cfg->schedule, "name", " ");
	}
	fputs(" };", to);
	write_pipeline(to, cfg, line);
	fputs("\n};\n", to);
	write_transports(to, cfg);
	fputs("device = {", to);
	write_choice(to, &cfg->device, "name", line);
	write_exceptions(to, cfg);
	write_values(to, cfg->groups[PFW_GROUP_DEVICE], line, "name");
	fputs("\n};\noptimizer = {", to);
	write_values(to, cfg->groups[PFW_GROUP_OPTIMIZER], line, "");
	fputs("\n};\ndata = {", to);
	write_values(to, cfg->groups[PFW_GROUP_DATA], line, "");
	fputs("\n};\n", to);
	if (fflush(to) || ferror(to))
		return pfw_error_set(err, errno ? errno : EIO, "the config "
				     "cannot be written: %s", strerror(errno));
	return 0;
}
