/* What a config is made of beside its file, and who is to blame for the whole. */
#include "configs.h"

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

static const struct unit_test tests[] = {
	{ "--set", sets },
	{ "keys outside of groups", outside_of_groups },
	{ "options of a saved model", saved_models },
	{ "who is to blame", blame },
};

int main(void)
{
	return run_configs("settings set", tests, sizeof(tests) / sizeof(tests[0]));
}
