/*
 * Every kernel of the cuda device on the host (cuda/simt.h): against references
 * in double, in three orders of its threads with the same bits, and at the far
 * end of arrays of more than 2^32 elements.
 */
#include "cuda/grids.h"
#include "cuda/kernels.h"
#include "unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint64_t test_seed;

static uint32_t types[] = { PFW_F32, PFW_BF16 };

/* On all types in all orders, from the same numbers: the bits must not differ. */
static void everywhere(void (*check)(struct path *p))
{
	const uint64_t seed = test_seed;

	for (size_t t = 0; t < 2; t++) {
		struct path p = grids_path(&types[t]);
		uint64_t first = 0;

		for (int order = 0; order < SIMT_ORDERS; order++) {
			simt_order_now = (enum simt_order)order;
			test_seed = seed;
			grids_hash = 0xcbf29ce484222325u;
			check(&p);
			if (order == SIMT_FORWARD)
				first = grids_hash;
			check_true(&p, "the order of threads shows",
				   grids_hash == first);
		}
	}
	simt_order_now = SIMT_FORWARD;
}

#define EVERYWHERE(check)                                                      \
	static void run_##check(void)                                          \
	{                                                                      \
		everywhere(check);                                             \
	}
EVERYWHERE(check_layernorm)
EVERYWHERE(check_bias)
EVERYWHERE(check_embed)
EVERYWHERE(check_classifier)
EVERYWHERE(check_attention)
EVERYWHERE(check_update)
EVERYWHERE(check_epilogue)
EVERYWHERE(check_wide_rows)

static const struct unit_test tests[] = {
	{ "layernorm", run_check_layernorm },
	{ "bias_backward", run_check_bias },
	{ "embed", run_check_embed },
	{ "classifier", run_check_classifier },
	{ "attention", run_check_attention },
	{ "adamw, sums, copies", run_check_update },
	{ "epilogues", run_check_epilogue },
	{ "rows of many blocks", run_check_wide_rows },
	{ "more than 2^32 elements", check_far },
};

int main(void)
{
	const char *seed = getenv("PIPEFW_TEST_SEED");

	test_seed = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
	printf("PIPEFW_TEST_SEED=%llu\n", (unsigned long long)test_seed);
	if (pfw_cuda_prepare())
		return 1;
	return unit_run("cuda kernels on the host", tests,
			sizeof(tests) / sizeof(tests[0]));
}
