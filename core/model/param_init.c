#include "model/model.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/philox.h"

/* Two normal numbers from two random words (Box and Muller, Ann. Math. Stat.
 * 29 (1958), 610); the first is never 0, for the logarithm. */
static void normal_pair(uint32_t a, uint32_t b, double std, float *out)
{
	const double two_pi = 6.283185307179586476925;
	double radius = std * sqrt(-2.0 * log(((double)a + 0.5) * 0x1p-32));
	double angle = two_pi * ((double)b * 0x1p-32);

	out[0] = (float)(radius * cos(angle));
	out[1] = (float)(radius * sin(angle));
}

/* Elements 4 i to 4 i + 3. */
static void normal_four(const struct pfw_param *param, uint64_t name,
			uint64_t seed, uint64_t i, float out[4])
{
	const uint32_t counter[4] = { (uint32_t)i, (uint32_t)(i >> 32),
				      (uint32_t)name, (uint32_t)(name >> 32) };
	uint32_t words[4];

	pfw_philox(counter, seed, words);
	normal_pair(words[0], words[1], (double)param->std, out);
	normal_pair(words[2], words[3], (double)param->std, out + 2);
}

static void fill_normal(const struct pfw_param *param, uint64_t seed,
			uint64_t from, uint64_t n, float *out)
{
	const uint64_t name =
		pfw_hash(PFW_HASH_START, param->name, strlen(param->name));

	while (n) {
		uint64_t skip = from % 4;
		uint64_t take = 4 - skip < n ? 4 - skip : n;
		float four[4];

		normal_four(param, name, seed, from / 4, four);
		memcpy(out, four + skip, take * sizeof(*out));
		out += take;
		from += take;
		n -= take;
	}
}

void pfw_param_init(const struct pfw_param *param, uint64_t seed, uint64_t from,
		    uint64_t n, float *out)
{
	if (param->init == PFW_INIT_NORMAL) {
		fill_normal(param, seed, from, n, out);
		return;
	}
	for (uint64_t i = 0; i < n; i++)
		out[i] = param->init == PFW_INIT_ONE ? 1.0f : 0.0f;
}
