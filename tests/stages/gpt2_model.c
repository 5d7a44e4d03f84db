/*
 * The gpt2 stage: what it takes, and the names it goes by elsewhere.
 */
#include "unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"
#include "settings/config.h"

static struct pfw_registry *registry;
static const struct pfw_loaded *gpt2;

static void open_all(void)
{
	CU_ASSERT_EQUAL_FATAL(pfw_registry_open(NULL, &registry, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(pfw_registry_get(registry, PFW_KIND_STAGE, "gpt2",
					       &gpt2, NULL), 0);
}

static void close_all(void)
{
	pfw_registry_close(registry);
}

/* Opens GPT-2 with options in the order layers, heads, hidden, context, vocab;
 * NULL: the default. */
static int open_model(const char *const options[5], struct pfw_model **out,
		      struct pfw_error *err)
{
	const struct pfw_call_shape shape = { .size = sizeof(shape),
					      .batch = 2, .seq = 8, };
	struct pfw_values *values = NULL;
	uint32_t n = 0;
	int rc;

	while (n < 5 && options[n])
		n++;
	rc = pfw_values_from_texts(gpt2->info.options, gpt2->info.n_options,
				   "gpt2", options, n, &values, err);
	if (!rc)
		rc = pfw_model_open(gpt2, values, &shape, 1, NULL, out, err);
	pfw_values_free(values);
	return rc;
}

static void refused(const char *a, const char *b, const char *words)
{
	const char *const options[5] = { a, b };
	struct pfw_error err = { 0 };
	struct pfw_model *m = NULL;

	CU_ASSERT_EQUAL(open_model(options, &m, &err), -EINVAL);
	CU_ASSERT_PTR_NULL(m);
	if (!strstr(err.text, words))
		printf("\n  wanted: %s\n  got: %s\n", words, err.text);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, words));
}

static void test_refused(void)
{
	refused("hidden=100", "heads=3", "not a multiple of heads = 3: use "
		"hidden = 120");
	refused("hidden=768", "heads=2", "larger than 256: use heads = 3 or");
	refused("hidden=36", "heads=3", "12 numbers are not a multiple of 8: "
		"use hidden = 48");
	refused("hidden=16", "heads=4", "4 numbers are not a multiple of 8: "
		"use hidden = 32");
	refused("layers=0", NULL, "layers");
	refused("vocab=1", NULL, "vocab");
}

/* The sizes of "gpt2" as published: 124,439,808 numbers. */
static void test_gpt2_small(void)
{
	static const char *const options[5] = { 0 };
	struct pfw_error err = { 0 };
	struct pfw_model *m;
	uint32_t decayed = 0;
	double rows;

	CU_ASSERT_EQUAL_FATAL(open_model(options, &m, &err), 0);
	CU_ASSERT_EQUAL(m->elements, 124439808);
	CU_ASSERT_EQUAL(m->n_params, 148);
	CU_ASSERT_EQUAL(m->n_uses, 149);
	CU_ASSERT_EQUAL(m->n_layers, 26);
	/* Half a block each: 4 C^2 and scores, 8 C^2. */
	CU_ASSERT_EQUAL(m->layers[1].letter, 'a');
	CU_ASSERT_EQUAL(m->layers[2].letter, 'm');
	rows = (double)m->shape.batch * m->shape.seq;
	CU_ASSERT_EQUAL(m->layers[1].flops_forward,
			2 * rows * 768 * (4 * 768 + m->shape.seq));
	CU_ASSERT_EQUAL(m->layers[2].flops_forward, 2 * rows * 8 * 768 * 768);
	CU_ASSERT_EQUAL(m->vocab, 50257);
	CU_ASSERT_EQUAL(m->context, 1024);
	for (uint32_t i = 0; i < m->n_params; i++) {
		const struct pfw_param *p = &m->params[i].info;
		int decays = !!(p->flags & PFW_PARAM_DECAY);

		CU_ASSERT_EQUAL(decays, p->n_dims == 2);
		decayed += decays;
		CU_ASSERT_EQUAL(m->params[i].n_uses, i ? 1 : 2);
	}
	CU_ASSERT_EQUAL(decayed, 2 + 4 * 12);
	CU_ASSERT_STRING_EQUAL(m->params[0].info.name, "transformer.wte.weight");
	CU_ASSERT_STRING_EQUAL(m->params[5].info.name,
			       "transformer.h.0.attn.c_attn.bias");
	CU_ASSERT_STRING_EQUAL(m->params[145].info.name,
			       "transformer.h.11.mlp.c_proj.bias");
	CU_ASSERT_STRING_EQUAL(m->params[147].info.name,
			       "transformer.ln_f.bias");
	pfw_model_close(m);
}

/* Collects "name=value" texts for open_model(). */
struct collected {
	char text[5][64];
	uint32_t n;
};

static int collect(void *ctx, const char *name, const char *value,
		   struct pfw_error *err)
{
	struct collected *c = ctx;

	if (c->n == 5)
		return pfw_error_set(err, E2BIG, "too many");
	snprintf(c->text[c->n++], sizeof(c->text[0]), "%s=%s", name, value);
	return 0;
}

static void test_config_round_trip(void)
{
	static const char *const options[5] = { "layers=3", "heads=2",
		"hidden=48", "context=21", "vocab=300" };
	const char *const extra[] = { "", "\"pipefw\": {\"tokenizer\": \"x\"}" };
	struct pfw_error err = { 0 };
	struct pfw_model *m;
	char text[2048];

	CU_ASSERT_EQUAL_FATAL(open_model(options, &m, &err), 0);
	for (uint32_t i = 0; i < 2; i++) {
		struct collected got = { .n = 0 };
		size_t n = m->ops->config_json(m->object, extra[i], text,
					       sizeof(text));

		CU_ASSERT_EQUAL_FATAL(n, strlen(text));
		CU_ASSERT_EQUAL(m->ops->config_json(m->object, extra[i], NULL,
						    0), n);
		CU_ASSERT_EQUAL(m->ops->from_config_json(text, n, collect, &got,
							 &err), 0);
		CU_ASSERT_EQUAL(got.n, 5);
		for (uint32_t k = 0; k < got.n; k++)
			CU_ASSERT_STRING_EQUAL(got.text[k], options[k]);
	}
	pfw_model_close(m);
}

static void config_refused(const char *member, const char *words)
{
	static const char sizes[] = "\"n_layer\": 2, \"n_head\": 2, "
		"\"n_embd\": 16, \"n_positions\": 8, \"vocab_size\": 9";
	struct collected got = { .n = 0 };
	struct pfw_error err = { 0 };
	char text[512];
	int n = snprintf(text, sizeof(text), "{%s%s}", sizes, member);
	int rc = gpt2->ops.stage.from_config_json(text, (size_t)n, collect,
						  &got, &err);

	CU_ASSERT_EQUAL(rc, words ? -EINVAL : 0);
	if (words && !strstr(err.text, words))
		printf("\n  wanted: %s\n  got: %s\n", words, err.text);
	CU_ASSERT_TRUE(!words || strstr(err.text, words));
}

static void test_config_refused(void)
{
	config_refused("", NULL);
	config_refused(", \"n_inner\": null", NULL);
	config_refused(", \"n_inner\": 64", NULL);
	config_refused(", \"n_inner\": 32", "4 times n_embd");
	config_refused(", \"activation_function\": \"gelu\"",
		       "computes gelu_new only");
	config_refused(", \"activation_function\": 3", "is 3; this stage");
	config_refused(", \"model_type\": \"llama\"", "is llama; this stage");
	config_refused(", \"tie_word_embeddings\": false", "is false; this");
	config_refused(", \"scale_attn_by_inverse_layer_idx\": true", "is true");
	config_refused(", \"layer_norm_epsilon\": 1e-06", "is 1e-06; this");
	config_refused(", \"layer_norm_epsilon\": 0.00001", NULL);
	config_refused(", \"add_cross_attention\": []", "is an array; this");
	config_refused(", \"n_layer\": ", "line 1");
}

static void test_config_missing(void)
{
	static const char text[] = "{\"n_layer\": 2.5}";
	struct collected got = { .n = 0 };
	struct pfw_error err;

	CU_ASSERT_EQUAL(gpt2->ops.stage.from_config_json(text, sizeof(text) - 1,
							 collect, &got, &err),
			-EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "n_layer"));
	CU_ASSERT_EQUAL(gpt2->ops.stage.from_config_json("[1]", 3, collect,
							 &got, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "n_layer is nothing"));
}

static void test_matches(void)
{
	const struct pfw_stage_ops *ops = &gpt2->ops.stage;
	static const char *const passed_over[] = {
		"lm_head.weight", "transformer.h.3.attn.bias",
		"h.3.attn.bias", "h.11.attn.masked_bias",
	};
	static const char *const kept[] = {
		"h.3.attn.c_attn.bias", "transformer.wte.weight", "h.0.attn.bia",
		"lm_head.bias", "x.lm_head.weight", "", "h.0.attn.bias.x",
	};

	CU_ASSERT_TRUE(ops->matches(NULL, "transformer.h.1.ln_1.weight",
				    "transformer.h.1.ln_1.weight"));
	CU_ASSERT_TRUE(ops->matches(NULL, "transformer.h.1.ln_1.weight",
				    "h.1.ln_1.weight"));
	CU_ASSERT_FALSE(ops->matches(NULL, "transformer.h.1.ln_1.weight",
				     "h.11.ln_1.weight"));
	CU_ASSERT_FALSE(ops->matches(NULL, "transformer.h.1.ln_1.weight", ""));
	for (uint32_t i = 0; i < 4; i++)
		CU_ASSERT_TRUE(ops->matches(NULL, NULL, passed_over[i]));
	for (uint32_t i = 0; i < 7; i++)
		CU_ASSERT_FALSE(ops->matches(NULL, NULL, kept[i]));
}

static const struct unit_test tests[] = {
	{ "open", open_all },
	{ "refused options", test_refused },
	{ "GPT-2 as published", test_gpt2_small },
	{ "config.json and back", test_config_round_trip },
	{ "config.json of other models", test_config_refused },
	{ "config.json without sizes", test_config_missing },
	{ "names in foreign files", test_matches },
	{ "close", close_all },
};
UNIT_MAIN("gpt2: model", tests)
