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
	"usage: pipefw report DIR [option]...\n"
	"Compares a traced run with what was predicted, says where each rank's\n"
	"time went and what would make the step shorter.\n"
	"  --format html|text  html (default): writes DIR/report.html; text: prints\n"
	"  --out FILE          the page's file in place of DIR/report.html\n"
	"  --help              this text\n";

struct options {
	const char *dir, *out;
	int text, help;
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
	o->text = !strcmp(word, "text");
	if (o->text || !strcmp(word, "html"))
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
	if (optind != argc - 1)
		return pfw_error_set(err, EINVAL, "one run's folder, please; "
				     "see pipefw report --help");
	o->dir = argv[optind];
	if (access(o->dir, F_OK))
		return pfw_error_set(err, errno, "%s: cannot find it: %s",
				     o->dir, strerror(errno));
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
		rc = pfw_path_join(path, sizeof(path), o->dir, "report.html",
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

int pfw_cli_report(int argc, char **argv)
{
	struct pfw_registry *registry = NULL;
	struct pfw_report *report = NULL;
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
		rc = pfw_report_open(registry, o.dir, &report, &err);
	if (!rc)
		rc = o.text ? pfw_report_text(report, stdout, &err) :
			      write_page(&o, report, &err);
	if (rc)
		fprintf(stderr, "pipefw: %s\n", err.text);
	pfw_report_close(report);
	pfw_registry_close(registry);
	return rc ? PFW_EXIT_DATA : PFW_EXIT_OK;
}
