/* The vector exp holds what vmath.h says of it. */
#include "kernels/kernels.h"

#include "isa/vmath.h"

#include <math.h>

static float exp_of(float x)
{
	vf y = vf_exp(vf_set(x));

	return y[0];
}

void check_exp(void)
{
	double worst = 0.0;

	for (int i = 0; i < 400000; i++) {
		float x = (float)(random_uniform() * 87.5 + 0.5);
		double e = fabs((double)exp_of(x) / exp(x) - 1.0);

		worst = e > worst ? e : worst;
	}
	check_true(NULL, "exp within 1.2e-7", worst <= 1.2e-7);
	check_true(NULL, "exp(0) = 1", exp_of(0.0f) == 1.0f);
	check_true(NULL, "exp(-1000) = 0", exp_of(-1000.0f) == 0.0f);
	check_true(NULL, "exp(-inf) = 0", exp_of(-INFINITY) == 0.0f);
	check_true(NULL, "exp(1000) is large", exp_of(1000.0f) > 1.6e38f);
	check_true(NULL, "exp(NaN) is NaN", isnan(exp_of(NAN)));
}
