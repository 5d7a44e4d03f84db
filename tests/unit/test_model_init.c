#include "unit.h"

#include <math.h>
#include <string.h>

#include "model/model.h"

#define N 100000

static float values[N];

static const struct pfw_param normal = {
	.name = "transformer.wte.weight", .init = PFW_INIT_NORMAL, .std = 0.02f,
};

static void test_constants(void)
{
	struct pfw_param p = { .name = "x", .init = PFW_INIT_ZERO };

	memset(values, 0xff, sizeof(values));
	pfw_param_init(&p, 1, 0, 10, values);
	CU_ASSERT_EQUAL(values[0], 0.0f);
	CU_ASSERT_EQUAL(values[9], 0.0f);
	CU_ASSERT_TRUE(isnan(values[10]));
	p.init = PFW_INIT_ONE;
	pfw_param_init(&p, 1, 3, 10, values);
	CU_ASSERT_EQUAL(values[0], 1.0f);
	CU_ASSERT_EQUAL(values[9], 1.0f);
}

/* Mean, deviation, skewness, kurtosis, and the share beyond two deviations. */
static void test_statistics(void)
{
	double sum[5] = { 0 };
	uint32_t outside = 0;

	pfw_param_init(&normal, 1, 0, N, values);
	for (uint32_t i = 0; i < N; i++) {
		double x = (double)values[i] / 0.02, power = 1;

		for (int k = 0; k < 5; k++, power *= x)
			sum[k] += power;
		outside += fabs(x) > 2;
	}
	CU_ASSERT_DOUBLE_EQUAL(sum[1] / N, 0, 0.012);
	CU_ASSERT_DOUBLE_EQUAL(sum[2] / N, 1, 0.018);
	CU_ASSERT_DOUBLE_EQUAL(sum[3] / N, 0, 0.05);
	CU_ASSERT_DOUBLE_EQUAL(sum[4] / N, 3, 0.12);
	CU_ASSERT_DOUBLE_EQUAL((double)outside / N, 0.0455, 0.0027);
}

/* Neighbours are not correlated (of a pair, of a block, across blocks). */
static void test_correlation(void)
{
	pfw_param_init(&normal, 1, 0, N, values);
	for (uint32_t lag = 1; lag <= 5; lag++) {
		double sum = 0;

		for (uint32_t i = 0; i + lag < N; i++)
			sum += (double)values[i] * (double)values[i + lag];
		CU_ASSERT_DOUBLE_EQUAL(sum / (N * 0.0004), 0, 0.013);
	}
}

/* Any part is the same as in the whole. */
static void test_parts(void)
{
	float part[23];

	pfw_param_init(&normal, 1, 0, 200, values);
	for (uint32_t from = 0; from < 9; from++) {
		for (uint32_t n = 0; n < 23; n++) {
			memset(part, 0, sizeof(part));
			pfw_param_init(&normal, 1, from, n, part);
			CU_ASSERT_EQUAL(memcmp(part, values + from,
					       n * sizeof(*part)), 0);
			CU_ASSERT_EQUAL(part[22], 0.0f);
		}
	}
}

/* Seed and name both matter; the values by an independent program. */
static void test_seed_and_name(void)
{
	struct pfw_param other = normal;
	float a[4], b[4];

	pfw_param_init(&normal, 1, 0, 4, a);
	pfw_param_init(&normal, 2, 0, 4, b);
	CU_ASSERT_NOT_EQUAL(a[0], b[0]);
	other.name = "transformer.wpe.weight";
	pfw_param_init(&other, 1, 0, 4, b);
	CU_ASSERT_NOT_EQUAL(a[0], b[0]);
	CU_ASSERT_DOUBLE_EQUAL((double)a[0], 0.025029147, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL((double)a[1], 0.0173735036, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL((double)a[2], 0.020026631, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL((double)a[3], 0.00322822952, 1e-9);
}

static const struct unit_test tests[] = {
	{ "zeros and ones", test_constants },
	{ "normal: moments", test_statistics },
	{ "normal: correlation", test_correlation },
	{ "any part", test_parts },
	{ "seed and name", test_seed_and_name },
};
UNIT_MAIN("model init", tests)
