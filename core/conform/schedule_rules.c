/* What a schedule's lists have to be, for every shape that it takes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conform/schedule_kit.h"

static void nothing(struct pfw_trial *t, const struct pfw_shape *shape)
{
	(void)t;
	(void)shape;
}

static void takes(struct pfw_trial *t)
{
	const struct pfw_shape shape = pfw_kit_shape(4, 1, 8);
	struct pfw_error err = { 0 };

	if (pfw_kit_each(t, "asked for", nothing))
		return;
	pfw_kit_takes(t, &shape, &err);
	pfw_trial_refuse(t, "it takes no shape at all with p up to %u, v up to "
			 "%u and m up to %u; of p=4 v=1 m=8 it says: %s",
			 PFW_KIT_MAX_RANKS, PFW_KIT_MAX_CHUNKS,
			 pfw_kit_microbatches[pfw_kit_n_microbatches - 1],
			 err.text);
}

const struct pfw_check pfw_check_takes = {
	"takes some shape",
	"pipefw/schedule.h, check(): any m >= 1 is taken where the algorithm can "
	"run it",
	"let check() give 0 for what plan() can list",
	30, takes,
};

/* Whether lists and placement are one whole program; ascending sums or not. */
static int compiles(const struct pfw_schedule_plan *plan, int order_any,
		    struct pfw_error *err)
{
	const struct pfw_compile how = { .plan = plan, .order_any = order_any };
	struct pfw_program *prog;
	int rc = pfw_program_compile(&how, &prog, err);

	if (!rc)
		pfw_program_free(prog);
	return rc;
}

static void complete_one(struct pfw_trial *t, const struct pfw_shape *shape)
{
	struct pfw_schedule_plan *plan = pfw_kit_plan(t, shape);
	struct pfw_error err = { 0 };

	if (compiles(plan, 1, &err))
		pfw_trial_refuse(t, "p=%u v=%u m=%u: %s", shape->ranks,
				 shape->chunks, shape->microbatches, err.text);
	pfw_schedule_plan_free(plan);
}

static void complete(struct pfw_trial *t)
{
	pfw_kit_each(t, "planning", complete_one);
}

const struct pfw_check pfw_check_complete = {
	"complete and live",
	"pipefw/schedule.h, plan() and place(): F of every stage of the rank and "
	"every micro-batch once, then B once or I and W once; the ranks' orders "
	"together never wait in a circle; every rank holds v stages",
	"see it by `pipefw schedule PLUGIN -p P -v V -m M --format csv`, and mend "
	"the list of the rank that is named",
	60, complete,
};

static void ascending_one(struct pfw_trial *t, const struct pfw_shape *shape)
{
	struct pfw_schedule_plan *plan = pfw_kit_plan(t, shape);
	struct pfw_error err = { 0 };

	if (!compiles(plan, 1, NULL) && compiles(plan, 0, &err))
		pfw_trial_refuse(t, "p=%u v=%u m=%u: %s", shape->ranks,
				 shape->chunks, shape->microbatches, err.text);
	pfw_schedule_plan_free(plan);
}

static void ascending(struct pfw_trial *t)
{
	pfw_kit_each(t, "planning", ascending_one);
}

const struct pfw_check pfw_check_ascending = {
	"gradients ascend",
	"pipefw-plugin(7), Schedules: for every stage the backwards (B, and I, and "
	"W) come in ascending order of micro-batches, which makes all schedules "
	"equal to the bit",
	"list the backwards of a stage as 0, 1, 2, ...",
	60, ascending,
};

/*
 * The changes that a sentence names: "m=12", "v=1".  1: with one of them, or what
 * it says then, the shape is taken; 0: with none; -1: it names none.
 */
static int named_change(struct pfw_trial *t, const struct pfw_shape *shape,
			const char *text, int steps)
{
	int named = -1;

	for (const char *at = strchr(text, '='); at; at = strchr(at + 1, '=')) {
		struct pfw_shape other = *shape;
		struct pfw_error err = { 0 };
		uint32_t *letter = at == text ? NULL :
			at[-1] == 'p' ? &other.ranks :
			at[-1] == 'v' ? &other.chunks :
			at[-1] == 'm' ? &other.microbatches : NULL;
		unsigned long n = strtoul(at + 1, NULL, 10);

		if (!letter || !n || n == *letter || n > 1u << 20)
			continue;
		*letter = (uint32_t)n;
		if (!pfw_kit_takes(t, &other, &err) ||
		    (steps && named_change(t, &other, err.text, steps - 1) == 1))
			return 1;
		named = 0;
	}
	return named;
}

static void refusal_of(struct pfw_trial *t, const struct pfw_shape *shape)
{
	const uint32_t p = shape->ranks, v = shape->chunks;
	const uint32_t m = shape->microbatches;
	struct pfw_error err = { 0 };
	int rc = pfw_kit_takes(t, shape, &err);
	int named;

	if (!rc)
		return;
	if (rc != -EINVAL)
		pfw_trial_refuse(t, "p=%u v=%u m=%u: check() gives %s", p, v, m,
				 pfw_trial_code(rc));
	if (!err.text[0] || err.text[strlen(err.text) - 1] == '\n')
		pfw_trial_refuse(t, "p=%u v=%u m=%u: check() gives -EINVAL %s",
				 p, v, m, err.text[0] ? "and a sentence that "
				 "ends in a newline" : "without a sentence");
	named = named_change(t, shape, err.text, 2);
	if (!named)
		pfw_trial_refuse(t, "p=%u v=%u m=%u: of what is named none is "
				 "taken either: \"%s\"", p, v, m, err.text);
	if (named < 0 && !strstr(err.text, "use "))
		pfw_trial_refuse(t, "p=%u v=%u m=%u: it is not said what would "
				 "do: \"%s\"", p, v, m, err.text);
}

static void refusals(struct pfw_trial *t)
{
	for (uint32_t p = 1; p <= PFW_KIT_MAX_RANKS; p++)
		for (uint32_t v = 1; v <= PFW_KIT_MAX_CHUNKS; v++)
			for (size_t i = 0; i < pfw_kit_n_microbatches; i++) {
				const struct pfw_shape shape = pfw_kit_shape(
					p, v, pfw_kit_microbatches[i]);

				pfw_trial_doing(t, "checking p=%u v=%u m=%u", p,
						v, shape.microbatches);
				refusal_of(t, &shape);
			}
}

const struct pfw_check pfw_check_refusals = {
	"refusals name the fix",
	"pipefw/schedule.h, check(): 0, or -EINVAL with the smallest change that "
	"would do, as in \"use 5 or m=12\"",
	"write by pfw_error_set(err, EINVAL, ...) what was asked for and what to "
	"use instead, as m=N or v=N where that is it",
	30, refusals,
};
