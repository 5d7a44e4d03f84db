/*
 * configs.h: configs of the test's own, with the plugins of tests/plugins: what is
 * taken, and what is refused in which words.
 */
#ifndef PFW_TESTS_CONFIGS_H
#define PFW_TESTS_CONFIGS_H

#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "settings/config.h"
#include "settings/values.h"

#define PROBES "tests/plugins/.libs"

/* libconfig itself loses the string it is reading at a syntax error. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:strbuf_append\nleak:libconfig_yylex\n";
}

static char folder[] = "/tmp/pipefw-config-XXXXXX";
static char file[64];
static struct pfw_registry *registry;
static struct pfw_error err;

static const char whole[] =
	"# a comment\n"
	"run = {\n"
	"\tsteps = 30;\n"
	"\tseed = 7;\n"
	"\tout = \"runs/x\";\n"
	"\ttimeout = 5;\n"
	"};\n"
	"model = {\n"
	"\tstage = \"probe\";\n"
	"\tlayers = 4;\n"
	"\tsize = 5000000000L;\n"
	"\tloud = true;\n"
	"\tcolour = \"green\";\n"
	"\tlabel = \"a \\\"b\\\" \\\\ \\xe4 \\n.\";\n"
	"\tfile = \"m.txt\";\n"
	"\tweights = [1.0, -2.5];\n"
	"};\n"
	"pipeline = {\n"
	"\tschedule = {\n"
	"\t\tname = \"good\";\n"
	"\t\tgroup = 8;\n"
	"\t};\n"
	"\tranks = 2;\n"
	"\tmicrobatch_size = 3;\n"
	"};\n"
	"transport = {\n"
	"\tname = \"probe\";\n"
	"\tfilters = (\n"
	"\t\t{ name = \"probe\"; speed = 2; },\n"
	"\t\t{ name = \"probe\"; }\n"
	"\t);\n"
	"};\n"
	"device = {\n"
	"\tname = \"probe\";\n"
	"\tdtype = \"bf16\";\n"
	"};\n"
	"optimizer = {\n"
	"\tlr = 1;\n"
	"\tbetas = [0.8, 0.9];\n"
	"};\n"
	"data = {\n"
	"\ttrain = \"/corpus.txt\";\n"
	"};\n";

/* What every config here needs, on the lines from @p text on. */
static inline const char *small(const char *text)
{
	static char buf[8192];

	snprintf(buf, sizeof(buf), "%s\nmodel = { stage = \"probe\"; layers = 1;"
		 " };\npipeline = { schedule = \"good\"; };\ntransport = "
		 "\"probe\";\ndevice = \"probe\";\ndata = { train = \"t\"; };\n",
		 text);
	return buf;
}

static inline int load_bytes(const void *bytes, size_t len, const char *const *sets,
		      size_t n, struct pfw_config **out)
{
	struct pfw_set list[16];

	memset(&err, 0, sizeof(err));
	unlink(file);
	if (pfw_file_create(file, bytes, len, &err))
		return -EIO;
	for (size_t i = 0; i < n; i++)
		list[i] = (struct pfw_set){ "--set", sets[i] };
	return pfw_config_load(registry, file, list, n, out, &err);
}

static inline struct pfw_config *load(const char *text, const char *set)
{
	struct pfw_config *cfg = NULL;

	load_bytes(text, strlen(text), &set, set != NULL, &cfg);
	return cfg;
}

static inline void refused_bytes(const void *bytes, size_t len, const char *set,
			  const char *words)
{
	struct pfw_config *cfg = NULL;
	int rc = load_bytes(bytes, len, &set, set != NULL, &cfg);

	CU_ASSERT(rc < 0);
	CU_ASSERT_EQUAL(rc, -err.code);
	CU_ASSERT_PTR_NULL(cfg);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, words));
	if (rc >= 0 || !strstr(err.text, words))
		printf("\nhave: %s\nwant: %s\n", err.text, words);
	pfw_config_free(cfg);
}

static inline void refused(const char *text, const char *set, const char *words)
{
	refused_bytes(text, strlen(text), set, words);
}

static inline void taken(const char *text, const char *set)
{
	struct pfw_config *cfg = load(text, set);

	if (!cfg)
		printf("\n%s\n", err.text);
	CU_ASSERT_PTR_NOT_NULL(cfg);
	pfw_config_free(cfg);
}

static inline int run_configs(const char *suite, const struct unit_test *tests,
			      size_t n)
{
	int rc = 99;

	if (mkdtemp(folder) && !pfw_registry_open(PROBES, &registry, NULL)) {
		snprintf(file, sizeof(file), "%s/a.cfg", folder);
		rc = unit_run(suite, tests, n);
		unlink(file);
	}
	pfw_registry_close(registry);
	rmdir(folder);
	return rc;
}

#endif
