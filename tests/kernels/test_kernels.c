/* Every kernel of every device and path against references in double. */
#include "kernels/kernels.h"
#include "unit/unit.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MAX_PATHS 32

uint64_t test_seed;

static struct path paths[MAX_PATHS];
static size_t n_paths;

#define EACH_PATH(check)                                                      \
	static void run_##check(void)                                         \
	{                                                                     \
		for (size_t i = 0; i < n_paths; i++)                          \
			check(&paths[i]);                                     \
	}
EACH_PATH(check_gemm)
EACH_PATH(check_gelu)
EACH_PATH(check_layernorm)
EACH_PATH(check_bias)
EACH_PATH(check_embed)
EACH_PATH(check_classifier)
EACH_PATH(check_attention)
EACH_PATH(check_update)
EACH_PATH(check_rounding)
EACH_PATH(check_peak)
EACH_PATH(check_threads)

static void some_path(void)
{
	CU_ASSERT(n_paths > 0);
}

static const struct unit_test tests[] = {
	{ "a device opens", some_path },
	{ "references: gradients by finite differences", check_references },
	{ "exp", check_exp },
	{ "gemm", run_check_gemm },
	{ "gelu", run_check_gelu },
	{ "layernorm", run_check_layernorm },
	{ "bias_backward", run_check_bias },
	{ "embed", run_check_embed },
	{ "classifier", run_check_classifier },
	{ "attention", run_check_attention },
	{ "adamw, sums, copies", run_check_update },
	{ "rounding at random", run_check_rounding },
	{ "peak", run_check_peak },
	{ "any number of threads", run_check_threads },
};

int main(void)
{
	const char *seed = getenv("PIPEFW_TEST_SEED");
	int r;

	test_seed = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
	printf("PIPEFW_TEST_SEED=%llu\n", (unsigned long long)test_seed);
	n_paths = paths_open(paths, MAX_PATHS);
	for (size_t i = 0; i < n_paths; i++)
		printf("path: %s\n", paths[i].label);
	r = unit_run("kernels", tests, sizeof(tests) / sizeof(tests[0]));
	paths_close(paths, n_paths);
	return r;
}
