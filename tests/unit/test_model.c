#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fake_stage.h"

static const struct pfw_call_shape shape = {
	.size = sizeof(shape), .batch = 2, .seq = 16, .act_dtype = PFW_F32,
};

static struct pfw_model *open_model(uint32_t n_stages, const char *layout)
{
	struct pfw_error err = { 0 };
	struct pfw_model *m = NULL;

	CU_ASSERT_EQUAL(pfw_model_open(&fake_loaded, NULL, &shape, n_stages,
				       layout, &m, &err), 0);
	CU_ASSERT_STRING_EQUAL(err.text, "");
	return m;
}

/* Opens what must be refused; the sentence must hold `words`. */
static void refused(uint32_t n_stages, const char *layout, const char *words)
{
	struct pfw_error err = { 0 };
	struct pfw_model *m = NULL;
	int rc = pfw_model_open(&fake_loaded, NULL, &shape, n_stages, layout,
				&m, &err);

	CU_ASSERT_EQUAL(rc, -EINVAL);
	CU_ASSERT_PTR_NULL(m);
	CU_ASSERT_EQUAL(fake.open, 0);
	if (!strstr(err.text, words))
		printf("\n  wanted: %s\n  got: %s\n", words, err.text);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, words));
}

static void expect_layout(uint32_t n_stages, const char *layout,
			  const char *text)
{
	struct pfw_model *m = open_model(n_stages, layout);
	char buf[256];

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	pfw_model_layout_text(m, buf, sizeof(buf));
	CU_ASSERT_STRING_EQUAL(buf, text);
	pfw_model_close(m);
}

static void test_layout(void)
{
	fake_set("EttttL");
	expect_layout(1, "Et*4L", "E t*4 L");
	expect_layout(3, " E t | t * 2t|L ", "E t | t*3 | L");
	expect_layout(6, "E|t|t|t|t|L", "E | t | t | t | t | L");
	expect_layout(2, "E t*2 t|t L", "E t*3 | t L");
	CU_ASSERT_EQUAL(fake.open, 0);
}

/* t is a and m: where both are in a stage, it is written so. */
static void test_wholes(void)
{
	fake_set("EamamamL");
	expect_layout(1, "E t*3 L", "E t*3 L");
	expect_layout(2, "E am t|a m L", "E t*2 | t L");
	expect_layout(2, "E t a | m t L", "E t a | m t L");
	expect_layout(4, "E a | m a | m a | m L", "E a | m a | m a | m L");
	refused(1, "E t*2 a L", "character 9: found 'L' where 'm' (layer 7 of 8, "
		"p6) is expected; the model's layers, in order: E 1, t 3 (am), L 1");
	refused(1, "E m", "found 'm' where 't' or 'a' (layer 2 of 8, p1)");
	refused(1, "E a t", "found 't' where 'm' (layer 3 of 8, p2)");
	refused(1, "E t*4 L", "found 't' where at most 3 of it, then 'L'");
	for (uint32_t n = 0; n <= 8; n += 8) {
		fake.n_whole = n;
		refused(1, NULL, "layer 2 of 8 begins a whole of");
	}
	/* One that is not complete in the model's last layers is refused, too. */
	fake_set("Ema");
	refused(1, NULL, "layer 3 of 3 begins a whole of 2 layers");
}

static void test_layout_refused(void)
{
	fake_set("EttttL");
	refused(2, "E t*2 | t L", "character 11: found 'L' where 't' "
		"(layer 5 of 6, p4) is expected");
	refused(2, "E t*2 | t L", "the model's layers, in order: E 1, t 4, L 1");
	refused(2, "E t*5 | L", "character 3: found 't' where at most 4 of it, "
		"then 'L' (layer 6 of 6, p5) is expected");
	refused(2, "E t*4 | L t", "character 11: found 't' where the end");
	refused(2, "E t*4 | ", "character 9: found the end where a layer");
	refused(3, "E t*4 | | L", "character 9: found '|' where a layer");
	refused(2, "| E t*4 L", "character 1: found '|' where a layer");
	refused(1, "E t*4", "character 6: found the end where 'L'");
	refused(1, "E t*0 L", "character 5: found '0' where a number");
	refused(1, "E t*-1 L", "character 5: found '-' where a number");
	refused(1, "E t*99999999999999999999 L", "a smaller number");
	refused(1, "E t*", "character 5: found the end where a number");
	refused(1, "E x*4 L", "character 3: found 'x' where 't'");
	refused(1, "E \001", "found byte 0x01");
	refused(1, "", "character 1: found the end where a layer");
	refused(2, "E | t*2 | t*2 L", "has 3 stages, but there are 2");
	refused(4, "E | t*2 | t*2 L", "has 3 stages, but there are 4");
	refused(0, NULL, "at least 1 stage");
}

/* A layout text too long for the buffer is cut off, and ended. */
static void test_layout_text_short(void)
{
	struct pfw_model *m;
	char buf[8];

	fake_set("EttttL");
	m = open_model(3, "E t | t*3 | L");
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	memset(buf, 'x', sizeof(buf));
	pfw_model_layout_text(m, buf, 6);
	CU_ASSERT_STRING_EQUAL(buf, "E t |");
	CU_ASSERT_EQUAL(buf[6], 'x');
	pfw_model_close(m);
}

static void test_too_many_stages(void)
{
	fake_set("EttttL");
	refused(7, NULL, "7 stages (pipeline.ranks times pipeline.chunks) for 6 "
		"layers");
	expect_layout(6, NULL, "E | t | t | t | t | L");
}

static uint64_t max_stage(const struct pfw_model *m)
{
	uint64_t worst = 0;

	for (uint32_t s = 0; s < m->n_stages; s++)
		if ((uint64_t)m->stages[s].flops_forward > worst)
			worst = (uint64_t)m->stages[s].flops_forward;
	return worst;
}

/* The best bottleneck of layers [from, n) in `stages` stages, by trying all. */
static uint64_t brute_force(uint32_t from, uint32_t n, uint32_t stages)
{
	uint64_t sum = 0, best = UINT64_MAX;

	for (uint32_t i = from; i + stages <= n; i++) {
		uint64_t rest, worst;

		sum += fake.cost[i];
		rest = stages > 1 ? brute_force(i + 1, n, stages - 1) : 0;
		if (stages == 1 && i + 1 < n)
			continue;
		worst = sum > rest ? sum : rest;
		if (worst < best)
			best = worst;
	}
	return best;
}

static void test_balance_brute_force(void)
{
	uint32_t seed = 1;

	for (uint32_t n = 1; n <= 9; n++) {
		for (uint32_t round = 0; round < 30; round++) {
			fake_set("EtttttttL");
			fake.letters[n] = '\0';
			for (uint32_t i = 0; i < n; i++) {
				seed = seed * 1664525u + 1013904223u;
				fake.cost[i] = seed >> 28;
			}
			for (uint32_t s = 1; s <= n; s++) {
				struct pfw_model *m = open_model(s, NULL);

				CU_ASSERT_PTR_NOT_NULL_FATAL(m);
				CU_ASSERT_EQUAL(max_stage(m),
						brute_force(0, n, s));
				pfw_model_close(m);
			}
		}
	}
}

static void test_balance_shape(void)
{
	fake_set("EttttttttttttL");
	fake.cost[0] = 0;
	fake.cost[13] = 5;
	expect_layout(4, NULL, "E t*4 | t*4 | t*4 | L");
	expect_layout(2, NULL, "E t*8 | t*4 L");
	/* Equal bottleneck: the even cut, short stages first. */
	fake_set("ttttttttttttt");
	expect_layout(4, NULL, "t*3 | t*3 | t*3 | t*4");
	/* Costs of real models do not overflow. */
	for (uint32_t i = 0; i < 13; i++)
		fake.cost[i] = 1ull << 58;
	expect_layout(4, NULL, "t*3 | t*3 | t*3 | t*4");
}

static void test_params(void)
{
	struct pfw_model *m;
	const struct pfw_model_param *tied;

	fake_set("EttL");
	m = open_model(2, "E t | t L");
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(m->n_uses, 6);
	CU_ASSERT_EQUAL(m->n_params, 5);
	CU_ASSERT_EQUAL(m->elements, 1 + 2 + 3 + 4 + 16);
	tied = &m->params[1];
	CU_ASSERT_STRING_EQUAL(tied->info.name, "tied");
	CU_ASSERT_EQUAL(tied->n_uses, 2);
	CU_ASSERT_EQUAL(tied->first_use, 1);
	CU_ASSERT_EQUAL(tied->elements, 16);
	for (uint32_t u = 0; u < 6; u++) {
		static const uint32_t param[] = { 0, 1, 2, 3, 4, 1 };
		static const uint32_t layer[] = { 0, 0, 1, 2, 3, 3 };

		CU_ASSERT_EQUAL(m->uses[u].param, param[u]);
		CU_ASSERT_EQUAL(m->uses[u].layer, layer[u]);
		CU_ASSERT_EQUAL(m->uses[u].stage, layer[u] / 2);
	}
	CU_ASSERT_EQUAL(m->stages[1].first_use, 3);
	CU_ASSERT_EQUAL(m->stages[1].n_uses, 3);
	CU_ASSERT_EQUAL(m->stages[1].elements, 3 + 4 + 16);
	CU_ASSERT_EQUAL(m->stages[0].saved_bytes, 64 + 64);
	CU_ASSERT_EQUAL(m->stages[1].saved_bytes, 64 + 128);
	CU_ASSERT_EQUAL(m->stages[1].work_bytes, 448);
	CU_ASSERT_EQUAL(m->stages[0].output_bytes, 128 + 192);
	CU_ASSERT_EQUAL(m->stages[1].output_bytes, 0);
	pfw_model_close(m);
	fake.tied_rows_last = 9;
	refused(1, NULL, "share the parameter tied");
}

static void test_shape_refused(void)
{
	struct pfw_call_shape bad = shape;
	struct pfw_error err;
	struct pfw_model *m = NULL;

	fake_set("EtL");
	bad.seq = 33;
	CU_ASSERT_EQUAL(pfw_model_open(&fake_loaded, NULL, &bad, 1, NULL, &m,
				       &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "1 to 32 tokens"));
	bad = shape;
	bad.split = 1;
	CU_ASSERT_EQUAL(pfw_model_open(&fake_loaded, NULL, &bad, 1, NULL, &m,
				       &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "does not split"));
	fake_set("");
	refused(1, NULL, "lists 0 layers");
	CU_ASSERT_EQUAL(fake.open, 0);
}

/* What a plugin says of sizes is believed as far as memory can go. */
static void test_sizes_refused(void)
{
	const uint64_t big = 1ull << 63;

	fake_set("EtL");
	fake.rows = big;
	refused(1, NULL, "p0 has more numbers than any memory");
	fake.n_dims = 2; /* 2^126: the product wraps to 0 */
	refused(1, NULL, "p0 has more numbers than any memory");
	fake.n_dims = 5;
	refused(1, NULL, "p0 has 5 dimensions; at most 4");
	fake_set("EtL");
	fake.n_params = 1u << 31;
	refused(1, NULL, "more than 16777216 parameters");
	fake_set("EtL");
	fake.saved = UINT64_MAX; /* rounded up it would be 0 */
	refused(1, NULL, "stage 0 wants more bytes");
	fake.saved = big; /* and twice this */
	refused(1, NULL, "stage 0 wants more bytes");
	fake_set("EtL");
	fake.work = UINT64_MAX - 3;
	refused(1, NULL, "stage 0 wants more bytes");
	fake_set("EtL");
	fake.boundary = big;
	refused(2, NULL, "stage 0 wants more bytes");
	fake_set("EtL");
	fake.boundary_dims = 5;
	refused(2, NULL, "or 4 dimensions");
	fake_set("EtL");
	fake.boundary_tensors = 17;
	refused(2, NULL, "more than 16 tensors");
}

static const struct unit_test tests[] = {
	{ "layout strings", test_layout },
	{ "layers that make a whole", test_wholes },
	{ "layout strings refused", test_layout_refused },
	{ "layout text in a short buffer", test_layout_text_short },
	{ "more stages than layers", test_too_many_stages },
	{ "by cost, against all cuts", test_balance_brute_force },
	{ "by cost, among equals", test_balance_shape },
	{ "parameters, ties, sizes", test_params },
	{ "shapes refused", test_shape_refused },
	{ "sizes refused", test_sizes_refused },
};
UNIT_MAIN("model", tests)
