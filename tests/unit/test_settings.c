/* A config file: every key of it, every fault in it. */
#include "configs.h"

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
	{ "warnings", warnings },
	{ "the core's tables", tables_are_sound },
};

int main(void)
{
	return run_configs("settings", tests, sizeof(tests) / sizeof(tests[0]));
}
