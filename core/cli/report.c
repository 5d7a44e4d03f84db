/* pipefw report: a traced run beside its prediction. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/report_text.h"
#include "cli/text.h"

static const char usage[] =
	"usage: pipefw report DIR... [option]...\n"
	"Compares a traced run with what was predicted, says where each rank's\n"
	"time went and what would make the step shorter.  Of several runs: prints a\n"
	"table of predicted and measured steps.\n"
	"  --format html|text  html (default): writes DIR/report.html; text: prints\n"
	"  --out FILE          the page's file in place of DIR/report.html\n"
	"  --help              this text\n";

struct options {
	char *const *dirs;
	size_t n_dirs;
	const char *out;
	int format, help; /* format: 'h', 't', or 0: not given */
};

static const struct option long_options[] = {
	{ "format", required_argument, NULL, 'f' },
	{ "out", required_argument, NULL, 'o' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int set_format(struct options *o, const char *word,
		      struct pfw_error *err)
{
	o->format = !strcmp(word, "text") ? 't' : 'h';
	if (o->format == 't' || !strcmp(word, "html"))
		return 0;
	return pfw_error_set(err, EINVAL, "--format must be html or text, found "
			     "\"%.80s\"", word);
}

static int parse(struct options *o, int argc, char **argv,
		 struct pfw_error *err)
{
	int c, rc = 0;

	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
		if (c == 'o')
			o->out = optarg;
		else if (c == 'h')
			o->help = 1;
		else if (c == 'f')
			rc = set_format(o, optarg, err);
		else
			rc = pfw_option_refuse("report", long_options, c, argv,
					       err);
		if (rc)
			return rc;
	}
	if (o->help)
		return 0;
	o->dirs = argv + optind;
	o->n_dirs = (size_t)(argc - optind);
	if (!o->n_dirs)
		return pfw_error_set(err, EINVAL, "a run's folder, please; "
				     "see pipefw report --help");
	if (o->n_dirs > 1 && (o->out || o->format == 'h'))
		return pfw_error_set(err, EINVAL, "several runs are a table: "
				     "leave --%s out, or name one run",
				     o->out ? "out" : "format html");
	for (size_t i = 0; i < o->n_dirs; i++)
		if (access(o->dirs[i], F_OK))
			return pfw_error_set(err, errno,
					     "%s: cannot find it: %s",
					     o->dirs[i], strerror(errno));
	return 0;
}

static int write_page(const struct options *o, const struct pfw_report *r,
		      struct pfw_error *err)
{
	char path[PATH_MAX];
	FILE *f;
	int rc = 0;

	if (o->out)
		snprintf(path, sizeof(path), "%s", o->out);
	else
		rc = pfw_path_join(path, sizeof(path), o->dirs[0], "report.html",
				   err);
	if (rc)
		return rc;
	f = fopen(path, "we");
	if (!f)
		return pfw_error_set(err, errno, "%s: %s", path,
				     strerror(errno));
	rc = pfw_report_html(r, f, err);
	if (fclose(f) && !rc)
		rc = pfw_error_set(err, errno, "%s: %s", path, strerror(errno));
	if (rc)
		return rc;
	pfw_text_wrap(stdout, 0, r->advice.text);
	if (r->advice.found)
		printf("with %s\n", r->advice.set);
	puts(path);
	return 0;
}

static int show_one(const struct options *o, struct pfw_registry *registry,
		    struct pfw_error *err)
{
	struct pfw_report *report;
	int rc = pfw_report_open(registry, o->dirs[0], &report, err);

	if (rc)
		return rc;
	rc = o->format == 't' ? pfw_report_text(report, stdout, err) :
				write_page(o, report, err);
	pfw_report_close(report);
	return rc;
}

static int show_row(struct pfw_registry *registry, const char *dir,
		    struct pfw_error *err)
{
	struct pfw_report *report;
	int rc = pfw_report_read(registry, dir, &report, err);

	if (rc)
		return rc;
	rc = pfw_report_predict(report, err);
	if (!rc)
		pfw_report_table_row(report, stdout);
	pfw_report_close(report);
	return rc;
}

static int show_table(const struct options *o, struct pfw_registry *registry,
		      struct pfw_error *err)
{
	int rc = 0;

	pfw_report_table_head(stdout);
	for (size_t i = 0; i < o->n_dirs && !rc; i++)
		rc = show_row(registry, o->dirs[i], err);
	if (!rc)
		pfw_report_table_foot(stdout);
	return rc;
}

int pfw_cli_report(int argc, char **argv)
{
	struct pfw_registry *registry = NULL;
	struct pfw_error err = { 0 };
	struct options o = { 0 };
	int rc;

	if (parse(&o, argc, argv, &err)) {
		fprintf(stderr, "pipefw report: %s\n", err.text);
		return PFW_EXIT_CONFIG;
	}
	if (o.help) {
		fputs(usage, stdout);
		return PFW_EXIT_OK;
	}
	rc = pfw_registry_open(NULL, &registry, &err);
	if (!rc)
		rc = o.n_dirs > 1 ? show_table(&o, registry, &err) :
				    show_one(&o, registry, &err);
	if (rc)
		fprintf(stderr, "pipefw: %s\n", err.text);
	pfw_registry_close(registry);
	return rc ? PFW_EXIT_DATA : PFW_EXIT_OK;
}
