/*
 * Fuzz target: a schedule's text.  Refused with a sentence, or it is the same
 * plan after it was written and read again, and compiles or is refused.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz/fuzz.h"
#include "schedule/csv.h"

static void broken(const char *what)
{
	fprintf(stderr, "fuzz: %s\n", what);
	abort();
}

static void check_again(const struct pfw_schedule_plan *plan, int header)
{
	struct pfw_schedule_plan *again;
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	if (!to)
		return;
	if (pfw_csv_write(plan, header, to, NULL) || fclose(to))
		broken("not written");
	if (pfw_csv_parse("f", text, len, &again, NULL))
		broken("what was written is not read");
	if (pfw_schedule_plan_hash(plan) != pfw_schedule_plan_hash(again))
		broken("another plan after writing");
	pfw_schedule_plan_free(again);
	free(text);
}

static void check_compiles(const struct pfw_schedule_plan *plan, int order_any)
{
	struct pfw_compile how = { .plan = plan, .order_any = order_any };
	struct pfw_error err = { 0 };
	struct pfw_program *prog = NULL;

	if (pfw_program_compile(&how, &prog, &err) && !*err.text)
		broken("not compiled, without a word");
	pfw_program_free(prog);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pfw_error err = { 0 };
	struct pfw_schedule_plan *plan;

	if (!pfw_csv_parse("f", (const char *)data, size, &plan, &err)) {
		check_again(plan, 0);
		check_again(plan, 1);
		check_compiles(plan, 0);
		check_compiles(plan, 1);
		pfw_schedule_plan_free(plan);
	} else if (!*err.text || !err.code) {
		broken("refused without a word");
	}
	return 0;
}
