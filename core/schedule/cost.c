/* Durations of actions: as given, or F = I = W = 1 ms for a full rank. */
#include <errno.h>
#include <stdlib.h>

#include "schedule/compile.h"

#define DEFAULT_NS 1000000
#define DEFAULT_HOP_NS 100000
/* A day. */
#define MAX_NS (86400ll * 1000000000)
/* Below what an int64_t holds: no end of a program may come after it. */
#define MAX_TOTAL_NS 4e18

static int refuse(const char *what, uint32_t stage, int64_t ns,
		  struct pfw_error *err)
{
	return pfw_error_set(err, EINVAL, "the cost of %s of stage %u is %lld "
			     "ns; it must be at least 0 and at most a day",
			     what, stage, (long long)ns);
}

static int fill(int64_t *to, const int64_t *from, uint32_t chunks,
		uint32_t stages, const char *what, struct pfw_error *err)
{
	for (uint32_t s = 0; s < stages; s++) {
		to[s] = from ? from[s] : DEFAULT_NS / chunks;
		if (to[s] < 0 || to[s] > MAX_NS)
			return refuse(what, s, to[s], err);
	}
	return 0;
}

/* All actions and transfers one after the other: no program takes longer. */
static double total(const struct pfw_durations *d, uint32_t stages, uint32_t m)
{
	double sum = 0;

	for (uint32_t s = 0; s < stages; s++)
		sum += (double)d->of[PFW_FORWARD][s] +
		       (double)d->of[PFW_BACKWARD][s] + 2.0 * (double)(d->hop + d->message);
	return sum * m;
}

int pfw_durations_make(const struct pfw_schedule_plan *plan,
		       const struct pfw_costs *costs, struct pfw_durations *out,
		       struct pfw_error *err)
{
	struct pfw_durations d = {
		.hop = costs ? costs->hop : DEFAULT_HOP_NS,
		.message = costs ? costs->message : 0,
	};
	uint32_t n = plan->stages, v = plan->chunks;
	int rc = 0;

	if (d.hop < 0 || d.hop > MAX_NS || d.message < 0 || d.message > MAX_NS)
		return pfw_error_set(err, EINVAL, "a hop of %lld ns and %lld ns "
				     "for a message; each must be at least 0 and "
				     "at most a day", (long long)d.hop,
				     (long long)d.message);
	for (uint32_t t = PFW_FORWARD; t <= PFW_BACKWARD_WEIGHT && !rc; t++) {
		d.of[t] = malloc(n * sizeof(*d.of[t]));
		if (!d.of[t])
			rc = pfw_error_set(err, ENOMEM, "no memory for costs");
	}
	if (!rc)
		rc = fill(d.of[PFW_FORWARD], costs ? costs->forward : NULL, v, n,
			  "F", err);
	if (!rc)
		rc = fill(d.of[PFW_BACKWARD_INPUT], costs ? costs->input : NULL,
			  v, n, "I", err);
	if (!rc)
		rc = fill(d.of[PFW_BACKWARD_WEIGHT], costs ? costs->weight : NULL,
			  v, n, "W", err);
	for (uint32_t s = 0; s < n && !rc; s++)
		d.of[PFW_BACKWARD][s] = d.of[PFW_BACKWARD_INPUT][s] +
					d.of[PFW_BACKWARD_WEIGHT][s];
	if (!rc && total(&d, n, plan->microbatches) > MAX_TOTAL_NS)
		rc = pfw_error_set(err, EOVERFLOW, "these costs make a step of "
				   "more than 100 years");
	if (rc) {
		pfw_durations_clear(&d);
		return rc;
	}
	*out = d;
	return 0;
}

void pfw_durations_clear(struct pfw_durations *cost)
{
	for (uint32_t t = 0; t <= PFW_BACKWARD_WEIGHT; t++)
		free(cost->of[t]);
	*cost = (struct pfw_durations){ 0 };
}
