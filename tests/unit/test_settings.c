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
static const char *small(const char *text)
{
	static char buf[8192];

	snprintf(buf, sizeof(buf), "%s\nmodel = { stage = \"probe\"; layers = 1;"
		 " };\npipeline = { schedule = \"good\"; };\ntransport = "
		 "\"probe\";\ndevice = \"probe\";\ndata = { train = \"t\"; };\n",
		 text);
	return buf;
}

static int load_bytes(const void *bytes, size_t len, const char *const *sets,
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

static struct pfw_config *load(const char *text, const char *set)
{
	struct pfw_config *cfg = NULL;

	load_bytes(text, strlen(text), &set, set != NULL, &cfg);
	return cfg;
}

static void refused_bytes(const void *bytes, size_t len, const char *set,
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

static void refused(const char *text, const char *set, const char *words)
{
	refused_bytes(text, strlen(text), set, words);
}

static void taken(const char *text, const char *set)
{
	struct pfw_config *cfg = load(text, set);

	if (!cfg)
		printf("\n%s\n", err.text);
	CU_ASSERT_PTR_NOT_NULL(cfg);
	pfw_config_free(cfg);
}

static void all_keys(void)
{
	struct pfw_config *c = load(whole, NULL);
	char path[128];

	if (!c)
		printf("\n%s\n", err.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL(c->run.steps, 30);
	CU_ASSERT_EQUAL(c->run.seed, 7);
	CU_ASSERT_EQUAL(c->run.timeout, 5.0);
	CU_ASSERT_EQUAL(c->run.max_bad_steps, 10);
	snprintf(path, sizeof(path), "%s/runs/x", folder);
	CU_ASSERT_STRING_EQUAL(c->run.out, path);
	CU_ASSERT_PTR_NULL(c->run.init);
	CU_ASSERT_EQUAL(pfw_value_int(c->model.values, "size"), 5000000000);
	CU_ASSERT_EQUAL(pfw_value_float(c->model.values, "speed"), 1.5);
	CU_ASSERT(pfw_value_bool(c->model.values, "loud"));
	CU_ASSERT_STRING_EQUAL(pfw_value_string(c->model.values, "colour"),
			       "green");
	CU_ASSERT_STRING_EQUAL(pfw_value_string(c->model.values, "label"),
			       "a \"b\" \\ \xe4 \n.");
	snprintf(path, sizeof(path), "%s/m.txt", folder);
	CU_ASSERT_STRING_EQUAL(pfw_value_string(c->model.values, "file"), path);
	CU_ASSERT_EQUAL(pfw_value_floats(c->model.values, "weights", 1, NULL),
			-2.5);
	CU_ASSERT_EQUAL(pfw_value_int(c->schedule.values, "group"), 8);
	CU_ASSERT_FALSE(pfw_value_set(c->schedule.values, "speed"));
	CU_ASSERT_EQUAL(c->pipeline.ranks, 2);
	CU_ASSERT_EQUAL(c->pipeline.microbatches, 8);
	CU_ASSERT_EQUAL(c->transport.n_filters, 2);
	CU_ASSERT_EQUAL(pfw_value_float(c->transport.filters[0].values,
					"speed"), 2.0);
	CU_ASSERT_EQUAL(c->dtype, PFW_BF16);
	CU_ASSERT_EQUAL(c->optimizer.lr, 1.0);
	CU_ASSERT_EQUAL(c->optimizer.min_lr, 0.1);
	CU_ASSERT_EQUAL(c->optimizer.beta2, 0.9);
	CU_ASSERT_STRING_EQUAL(c->data.train, "/corpus.txt");
	CU_ASSERT_EQUAL(c->data.eval_batches, 20);
	pfw_config_free(c);
}

static char *written(const struct pfw_config *cfg)
{
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	CU_ASSERT_EQUAL(pfw_config_write(cfg, to, &err), 0);
	fclose(to);
	return text;
}

static void written_and_read_again(void)
{
	struct pfw_config *c = load(whole, NULL), *d;
	char *first, *second;

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	first = written(c);
	d = load(first, NULL);
	if (!d)
		printf("\n%s\n%s\n", err.text, first);
	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	second = written(d);
	CU_ASSERT_STRING_EQUAL(first, second);
	CU_ASSERT_STRING_EQUAL(c->run.out, d->run.out);
	CU_ASSERT_STRING_EQUAL(pfw_value_string(c->model.values, "label"),
			       pfw_value_string(d->model.values, "label"));
	free(first);
	free(second);
	pfw_config_free(c);
	pfw_config_free(d);
}

/* @p text with line @p line replaced; the caller's to free(). */
static char *with_line(const char *text, unsigned line, const char *other)
{
	char *out = malloc(strlen(text) + strlen(other) + 2);
	const char *from = text;
	size_t n;

	while (--line)
		from = strchr(from, '\n') + 1;
	n = (size_t)(from - text);
	sprintf(out, "%.*s%s%s", (int)n, text, other,
		from + strcspn(from, "\n"));
	return out;
}

static void one_damage(unsigned line, const char *with, const char *words)
{
	char want[128], *text = with_line(whole, line, with);

	snprintf(want, sizeof(want), "%s:%u: ", file, line);
	refused(text, NULL, want);
	if (words)
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, words));
	free(text);
}

/* A letter too many in each key, each value a group, rubbish on each line: the
 * sentence always names the line. */
static void every_line_damaged(void)
{
	char line[256], damaged[300], want[64];
	const char *at = whole;
	char *equals;
	unsigned keys = 0;

	for (unsigned n = 1; *at; n++, at = strchr(at, '\n') + 1) {
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
		snprintf(damaged, sizeof(damaged), "%s ]", line);
		if (n > 1)
			one_damage(n, damaged, NULL);
		equals = strstr(line, " = ");
		if (!equals || strchr(line, '{') || strchr(line, '('))
			continue;
		keys++;
		snprintf(damaged, sizeof(damaged), "%.*s = { a = 1; };",
			 (int)(equals - line), line);
		one_damage(n, damaged, " must be ");
		if (strstr(line, "name") || strstr(line, "stage"))
			continue;
		snprintf(damaged, sizeof(damaged), "%.*sx%s",
			 (int)(equals - line), line, equals);
		snprintf(want, sizeof(want), "did you mean \"%.*s\"",
			 (int)(equals - line - (long)strspn(line, "\t")),
			 line + strspn(line, "\t"));
		if (!strstr(line, "layers") && !strstr(line, "train"))
			one_damage(n, damaged, want);
	}
	CU_ASSERT(keys > 20);
}

static void unknown_keys(void)
{
	refused(small("runn = { steps = 1; };"), NULL,
		":1: the config has no key \"runn\"; did you mean \"run\"?");
	refused(small("run = { stesp = 1; };"), NULL,
		":1: run has no key \"stesp\"; did you mean \"steps\"?");
	refused(small("\nrun = { lr = 1; };"), NULL,
		":2: run has no key \"lr\"; did you mean optimizer.lr?");
	refused(small("steps = 1;"), NULL, "did you mean run.steps?");
	refused(small("run = { quite_other = 1; };"), NULL,
		"run has no key \"quite_other\"; see pipefw.cfg(5)");
	refused("model = { stage = \"probe\"; layers = 1; colr = \"red\"; };",
		NULL, "did you mean \"colour\"?");
	refused("model = { stage = \"prob\"; };", NULL,
		":1: there is no stage \"prob\"; did you mean \"probe\"? "
		"Looked for pipefw-prob-stage.so in tests/plugins/.libs; "
		"\"pipefw list\" shows");
	refused("model = { stagee = \"probe\"; };", NULL,
		"model.stage must be given");
}

static void literals(void)
{
	refused(small("\nrun = { seed = 2147483648; };"), NULL,
		":2: 2147483648 does not fit in 32 bits; write 2147483648L");
	refused(small("run = { seed = -2147483649; };"), NULL, "32 bits");
	refused(small("run = { seed = 0xFFFFFFFF; };"), NULL, "32 bits");
	refused(small("run = { seed = 99999999999999999999L; };"), NULL,
		"64 bits");
	refused(small("run = { timeout = 1e400; };"), NULL, "too large");
	refused(small("run = { timeout = nan; };"), NULL, ":1: ");
	refused(small("run = { out = \"a\\x00b\"; };"), NULL, "end the string");
	refused(small("run = { out = \"a };"), NULL, ":1: a string begins");
	refused("run = { steps = 1;\n", NULL, ":2: syntax error at the end of "
		"the file; what is allowed");
	refused(small("/* \n"), NULL, ":1: a comment begins");
	refused(small("@include \"/etc/passwd\""), NULL, "@include is not taken");
	refused(small("run = { steps = 1; steps = 2; };"), NULL,
		":1: a key is given a second time at or before \"run");
	taken(small("run = { seed = 2147483647; }; # 99999999999 @include"),
	      NULL);
	taken(small("run = { seed = 4294967295L; }; // \"\n/* \" 1e999 */"),
	      NULL);
	taken(small("run = { seed = 0000000000000012; out = \"99999999999\"; "
		    "};"), NULL);
	taken(small("optimizer = { lr = 1; weight_decay = .5; };"), NULL);
	taken(small(""), "model.weights=5");
	taken("model = { stage = \"probe\"; layers = 1; weights = 5; }; device = "
	      "\"probe\"; transport = \"probe\"; pipeline = { schedule = "
	      "\"good\"; };", NULL);
}

static void types_and_ranges(void)
{
	refused(small("run = { steps = \"4\"; };"), NULL,
		":1: run.steps must be an integer, 0 or more, found \"4\"");
	refused(small("run = { steps = 4.0; };"), NULL, "found 4.0");
	refused(small("run = { steps = true; };"), NULL, "found true");
	refused(small("run = { steps = -1; };"), NULL, "found -1");
	refused(small("run = { steps = [1]; };"), NULL, "found [1]");
	refused(small("run = { steps = (1, \"a\"); };"), NULL, "found a list");
	refused(small("run = 5;"), NULL, "run must be a group: run = { ... };");
	refused(small("run = { out = 5; };"), NULL,
		"run.out must be a string, found 5");
	refused(small("run = { out = \"\"; };"), NULL,
		":1: run.out must be a path without control characters");
	refused(small("run = { out = \"a\\nb\"; };"), NULL, "control");
	refused(small("optimizer = { lr = \"x\"; };"), NULL,
		"optimizer.lr must be a number from 0 to 1000, found \"x\"");
	refused(small("optimizer = { clip = 0; };"), NULL, "greater than 0");
	refused(small("optimizer = { betas = [0.9, 1.0]; };"), NULL,
		":1: optimizer.betas must be two numbers");
	refused(small("optimizer = { betas = [0.9]; };"), NULL,
		"found 1 number");
	refused(small("optimizer = { betas = [0.9, 1.5]; };"), NULL,
		"a list of numbers from 0 to 1, found [0.9, 1.5]");
	refused(small("optimizer = { lr = 0.1; min_lr = 0.2; };"), NULL,
		"at most optimizer.lr");
	refused(small("optimizer = { name = \"sgd\"; };"), NULL,
		"must be one of adamw, found \"sgd\"");
	refused("model = { stage = 1; };", NULL,
		"model must be the name of a plugin");
	refused("model = { stage = \"probe\"; };", NULL,
		":1: model.layers must be given: an integer from 1 to 1000 "
		"(number of layers)");
}

static void files(void)
{
	static const char nul[] = "run = { };\n\0";
	char *big = malloc((1 << 20) + 2);
	struct pfw_config *cfg = NULL;

	refused("", NULL, "there is no model");
	refused_bytes(nul, sizeof(nul), NULL, ":2: a NUL byte");
	refused("\xef\xbb\xbfrun = { };", NULL, "byte order mark");
	refused("a\n\xff\xfe", NULL, ":2: bytes that are not UTF-8");
	refused("a = [\n0, 0.9];", NULL, ":2: an array has either whole "
		"numbers alone or none, and here are 0 and 0.9: write 0.0");
	refused("a = [1e-1,\n2];", NULL, ":2: an array has either whole "
		"numbers alone or none, and here are 1e-1 and 2: write 2.0");
	memset(big, ' ', (1 << 20) + 1);
	refused_bytes(big, (1 << 20) + 1, NULL, file);
	memset(big, '(', 1000);
	memcpy(big, "a = ", 4);
	refused_bytes(big, 1000, NULL, "more than 32 deep");
	free(big);
	unlink(file);
	CU_ASSERT(pfw_config_load(registry, file, NULL, 0, &cfg, &err) < 0);
	CU_ASSERT_EQUAL(mkfifo(file, 0600), 0);
	CU_ASSERT(pfw_config_load(registry, file, NULL, 0, &cfg, &err) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "regular file"));
	CU_ASSERT(pfw_config_load(registry, "/dev/zero", NULL, 0, &cfg,
				  &err) < 0);
	CU_ASSERT(pfw_config_load(registry, folder, NULL, 0, &cfg, &err) < 0);
	unlink(file);
}

static void sets(void)
{
	const char *many[] = { "pipeline.schedule.group=2",
			       "transport.filters.1.speed=3",
			       "optimizer.betas=[0.5, 0.6]", "run.out=a b",
			       "data.train=/x y", "run.seed=5000000000",
			       "model.label=\"q\"", "transport.loud=TRUE",
			       "data.eval_every=0x10", "model.label=7" };
	struct pfw_config *c = NULL;
	char want[600], cwd[500];

	CU_ASSERT_EQUAL(load_bytes(whole, strlen(whole), many, 10, &c), 0);
	if (!c)
		printf("\n%s\n", err.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL(pfw_value_int(c->schedule.values, "group"), 2);
	CU_ASSERT_EQUAL(pfw_value_float(c->transport.filters[1].values,
					"speed"), 3.0);
	CU_ASSERT_EQUAL(c->optimizer.beta2, 0.6);
	CU_ASSERT_STRING_EQUAL(c->data.train, "/x y");
	CU_ASSERT_EQUAL(c->run.seed, 5000000000);
	CU_ASSERT_STRING_EQUAL(pfw_value_string(c->model.values, "label"), "7");
	CU_ASSERT(pfw_value_bool(c->transport.transport.values, "loud"));
	CU_ASSERT_EQUAL(c->data.eval_every, 16);
	CU_ASSERT_PTR_NOT_NULL(getcwd(cwd, sizeof(cwd)));
	snprintf(want, sizeof(want), "%s/a b", cwd);
	CU_ASSERT_STRING_EQUAL(c->run.out, want);
	pfw_config_free(c);

	/* A path stays the working directory's when the word becomes a group. */
	many[0] = "pipeline.schedule=" PROBES "/pipefw-good-schedule.so";
	many[1] = "pipeline.schedule.group=3";
	CU_ASSERT_EQUAL(load_bytes(whole, strlen(whole), many, 2, &c), 0);
	CU_ASSERT_EQUAL(pfw_value_int(c->schedule.values, "group"), 3);
	pfw_config_free(c);

	refused(whole, "pipeline.ranks=x", "--set pipeline.ranks=x: "
		"pipeline.ranks must be an integer from 1 to 65536, found "
		"\"x\"");
	refused(whole, "run.stesp=1", "--set run.stesp=1: run has no key "
		"\"stesp\"; did you mean \"steps\"?");
	refused(whole, "run.seed=99999999999999999999", "found \"99999");
	refused(whole, "run.steps", "--set run.steps: not PATH=VALUE");
	refused(whole, "=1", "not PATH=VALUE");
	refused(whole, "run.out=\xff", "--set run.out: its value has bytes "
		"that are not UTF-8");
	refused(whole, "run.steps=\033[2J", "--set run.steps=?[2J: ");
	refused(whole, "run.steps.x=1", "run.steps is a value and has no "
		"members");
	refused(whole, "run..x=1", "a name is missing in the path");
	refused(whole, ".=1", "a name is missing in the path");
	refused(whole, "run.a b=1", "\"a b\" is no name of a key");
	refused(whole, "transport.filters.7.speed=1", "is a list of 2: say "
		"which, from transport.filters.0 on; transport.filters.2 would "
		"be a new one");
	refused(whole, "transport.filters.x.speed=1", "is a list of 2");
	refused(whole, "transport.filters.1=probe", "give its members, like "
		"transport.filters.1.name=NAME");
	refused(whole, "transport.filters.2.speed=1", "transport.filters.2.name "
		"must be given");
	refused(whole, "transport.filters.0.speed=-1", "transport.filters.0."
		"speed must be a number, 0 or more, found -1");
	refused(whole, "pipeline.schedule=abi", "plugin ABI is 999");
	CU_ASSERT_EQUAL(err.code, ELIBACC);
	taken(small(""), "pipeline.schedule.group=3");
	taken(small(""), "transport.size=3");
	taken(small(""), "transport.filters.0.name=probe");
	taken(whole, "transport.filters.2.name=probe");
	many[0] = "transport.remote=probe";
	many[1] = "transport.remote.filters.0.name=probe";
	CU_ASSERT_EQUAL(load_bytes(whole, strlen(whole), many, 2, &c), 0);
	CU_ASSERT_EQUAL(c->remote.n_filters, 1);
	pfw_config_free(c);
	taken(whole, "transport=probe");
	taken(small(""), "transport.local=probe");
	taken(whole, "run.seed=-0x0");
}

/* What the whole config is refused for is at the line of a key that the
 * sentence names, or at the --set of one. */
static void blamed(const char *home, const char *sentence, const char *set,
		   const char *want)
{
	static const char text[] = "pipeline = { schedule = \"good\";\n"
		"ranks = 2;\nchunks = 3; };\nmodel = { stage = \"probe\";\n"
		"layers = 1; };\ndevice = \"probe\"; transport = \"probe\";\n"
		"init = \"a\";\n";
	struct pfw_config *c = load(text, set);
	const char *found;

	if (!c)
		printf("\n%s\n", err.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	pfw_error_set(&err, EINVAL, "%s", sentence);
	pfw_config_blame(c, home, &err);
	found = !strncmp(err.text, file, strlen(file)) ?
			err.text + strlen(file) : err.text;
	CU_ASSERT_EQUAL(strncmp(found, want, strlen(want)), 0);
	CU_ASSERT_STRING_EQUAL(strstr(err.text, sentence), sentence);
	if (strncmp(found, want, strlen(want)) != 0)
		printf("\nhave: %s\nwant: %s\n", found, want);
	pfw_config_free(c);
}

static void blame(void)
{
	static const char plan[] = "good: m=8 and p=2 and v=3 do not fit";

	blamed("pipeline.schedule", plan, NULL, ":2: ");
	blamed("pipeline.schedule", plan, "pipeline.chunks=3",
	       "--set pipeline.chunks=3: ");
	blamed("pipeline.schedule", plan, "pipeline.microbatches=8",
	       "--set pipeline.microbatches=8: ");
	blamed("pipeline.schedule", plan, "pipeline.schedule=good",
	       "--set pipeline.schedule=good: ");
	blamed("pipeline.schedule", "it is not good", NULL, ":1: ");
	blamed("pipeline.schedule", "group = 2 is odd", NULL, ":1: ");
	blamed("pipeline.schedule", "group = 2 is odd",
	       "pipeline.schedule.group=2", "--set pipeline.schedule.group=2: ");
	blamed("model", "it has layers = 1.", NULL, ":5: ");
	blamed("model", "too few layers", NULL, ":4: ");
	blamed("model", "6 (pipeline.ranks times pipeline.chunks), more "
	       "model.layers.", NULL, ":2: ");
	blamed("model", "6 (pipeline.ranks times pipeline.chunks), more "
	       "model.layers.", "model.layers=2", "--set model.layers=2: ");
	blamed("run", "run.init and run.resume", NULL, ":7: ");
	blamed("run", "/tmp/pipeline.ranks: is not there", NULL, ": ");
	blamed("data", "data.train must be given", NULL, ": ");
	blamed("data", "data.train must be given", "data.train=x",
	       "--set data.train=x: ");
	pfw_error_set(&err, ENOMEM, "out of memory");
	pfw_config_blame(NULL, "run", &err);
	CU_ASSERT_STRING_EQUAL(err.text, "out of memory");
}

static void outside_of_groups(void)
{
	struct pfw_config *c;

	c = load(small("ranks_per_process = 2; init = \"m\";"), NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL(c->pipeline.ranks_per_process, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(c->run.init, "/m"));
	pfw_config_free(c);
	taken(small(""), "resume=x");
	taken(small(""), "run.resume=x");
	refused(small("run = { init = \"a\"; }; init = \"b\";"), NULL,
		":1: init is also given as run.init");
	/* --set is in place of the file's, whichever way that has it. */
	taken(small("run = { init = \"a\"; };"), "init=b");
	taken(small("init = \"a\";"), "run.init=b");
	taken(small("init = \"a\";"), "init=b");
	refused(small("init = \"a\";"), "model.init=b", "model has no key");
	refused(small("init = 5;"), NULL, "run.init must be a string");
	refused(small("init = \"a\"; resume = \"b\";"), NULL, "both given");
}

static void saved_models(void)
{
	static const char text[] = "data = { train = \"t\"; }; device = "
		"\"probe\"; transport = \"probe\"; pipeline = { schedule = "
		"\"good\"; }; init = \"m\"; model = { stage = \"probe\"; ";
	char path[128], config[512];
	struct pfw_config *c;

	snprintf(path, sizeof(path), "%s/m", folder);
	CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/m/config.json", folder);
	CU_ASSERT_EQUAL(pfw_file_create(path, "layers=7", 8, &err), 0);
	snprintf(config, sizeof(config), "%s};", text);
	c = load(config, NULL);
	if (!c)
		printf("\n%s\n", err.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL(pfw_value_int(c->model.values, "layers"), 7);
	pfw_config_free(c);
	snprintf(config, sizeof(config), "%slayers = 7; };", text);
	taken(config, NULL);
	snprintf(config, sizeof(config), "%slayers = 6; };", text);
	refused(config, NULL, "m/config.json: the saved model has layers = 7, "
		"the config another");
	unlink(path);
	CU_ASSERT_EQUAL(pfw_file_create(path, "layers=7777", 11, &err), 0);
	snprintf(config, sizeof(config), "%s};", text);
	refused(config, NULL, "must be an integer from 1 to 1000, found 7777");
	unlink(path);
	refused(config, NULL, "model.layers must be given");
	snprintf(path, sizeof(path), "%s/m", folder);
	rmdir(path);
}

static void warnings(void)
{
	struct pfw_config *c = load(small("optimizer = { warmup = 500; };"),
				    NULL);

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_PTR_NOT_NULL(c->warnings);
	pfw_config_free(c);
}

static void tables_are_sound(void)
{
	size_t n;
	const struct pfw_group *g = pfw_config_groups(&n);

	CU_ASSERT_EQUAL(n, PFW_N_GROUPS);
	for (size_t i = 0; i < n; i++)
		CU_ASSERT_EQUAL(pfw_option_check_table(g[i].options,
						       g[i].n_options, &err),
				0);
}

static const struct unit_test tests[] = {
	{ "every key", all_keys },
	{ "written and read again", written_and_read_again },
	{ "every line damaged", every_line_damaged },
	{ "unknown keys", unknown_keys },
	{ "literals", literals },
	{ "types and ranges", types_and_ranges },
	{ "files that are none", files },
	{ "--set", sets },
	{ "keys outside of groups", outside_of_groups },
	{ "options of a saved model", saved_models },
	{ "who is to blame", blame },
	{ "warnings", warnings },
	{ "the core's tables", tables_are_sound },
};

int main(void)
{
	int rc = 99;

	if (mkdtemp(folder) && !pfw_registry_open(PROBES, &registry, NULL)) {
		snprintf(file, sizeof(file), "%s/a.cfg", folder);
		rc = unit_run("config", tests, sizeof(tests) / sizeof(tests[0]));
		unlink(file);
	}
	pfw_registry_close(registry);
	rmdir(folder);
	return rc;
}
