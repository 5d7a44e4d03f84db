/* PyTorch's text form: what is written is read again, what is wrong refused. */
#include "schedule_kit.h"

#include <errno.h>
#include <stdlib.h>

#include "base/philox.h"
#include "schedule/csv.h"

static char *write_text(const struct pfw_schedule_plan *plan, int header)
{
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	CU_ASSERT_PTR_NOT_NULL_FATAL(to);
	CU_ASSERT_EQUAL(pfw_csv_write(plan, header, to, NULL), 0);
	fclose(to);
	return text;
}

static void there_and_back(void)
{
	static const struct kit_shape shapes[] = {
		{ "gpipe", 3, 1, 5, 0 },
		{ "interleaved", 4, 3, 9, 5 },
		{ "sequential", 1, 1, 1, 0 },
		{ "breadth-first", 2, 4, 12, 0 },
	};

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct pfw_schedule_plan *plan = kit_plan(&shapes[i], NULL), *again;
		struct pfw_error err = { 0 };
		char *text, *twice;

		for (int header = 0; header < 2; header++) {
			text = write_text(plan, header);
			again = NULL;
			CU_ASSERT_EQUAL(pfw_csv_parse("t", text, strlen(text),
						      &again, &err), 0);
			CU_ASSERT_PTR_NOT_NULL_FATAL(again);
			CU_ASSERT_EQUAL(pfw_schedule_plan_hash(plan),
					pfw_schedule_plan_hash(again));
			twice = write_text(again, header);
			CU_ASSERT_STRING_EQUAL(text, twice);
			free(twice);
			free(text);
			pfw_schedule_plan_free(again);
		}
		pfw_schedule_plan_free(plan);
	}
}

/* A pair, idle cells, blanks, CRLF; torchtitan's own sample has such rows. */
static void forms(void)
{
	static const char text[] = "0F0,,(0F1;0B0)OVERLAP_F_B, 0I1 ,0W1\r\n"
				   "1F0,1B0,1F1,1I1,,1W1,\r\n\r\n";
	struct pfw_schedule_plan *plan = NULL;
	struct pfw_program *prog;
	char *again;

	CU_ASSERT_EQUAL_FATAL(pfw_csv_parse("t", text, strlen(text), &plan, NULL),
			      0);
	CU_ASSERT_EQUAL(plan->ranks, 2);
	CU_ASSERT_EQUAL(plan->chunks, 1);
	CU_ASSERT_EQUAL(plan->microbatches, 2);
	CU_ASSERT_EQUAL(plan->lists[0].items[1].group, 0);
	CU_ASSERT_EQUAL(plan->lists[0].items[2].group, 0);
	CU_ASSERT_EQUAL(plan->lists[0].items[3].group, PFW_NONE);
	prog = kit_compile(plan, 0, NULL);
	CU_ASSERT_PTR_NOT_NULL(prog);
	again = write_text(plan, 0);
	CU_ASSERT_STRING_EQUAL(again, "0F0,(0F1;0B0)OVERLAP_F_B,0I1,0W1\n"
				      "1F0,1B0,1F1,1I1,1W1\n");
	free(again);
	pfw_program_free(prog);
	pfw_schedule_plan_free(plan);
}

static void refused(const char *text, const char *words)
{
	struct pfw_schedule_plan *plan = NULL;
	struct pfw_error err = { 0 };

	CU_ASSERT(pfw_csv_parse("f.csv", text, strlen(text), &plan, &err) < 0);
	CU_ASSERT_PTR_NULL(plan);
	if (!strstr(err.text, words))
		printf("\n%s\nsaid: %s\n", text, err.text);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, words));
}

static void refusals(void)
{
	refused("", "f.csv: no action in it");
	refused("\n,,\n", "f.csv: no action in it");
	refused("0F0,0F0junk", "f.csv:1:2: \"0F0junk\" is no action");
	refused("0F0,F0", "f.csv:1:2: \"F0\" is no action");
	refused("0F0,0F", "f.csv:1:2: \"0F\" is no action");
	refused("0F0,0?0", "\"0?0\" is no action");
	refused("0F0,-1F0", "\"-1F0\" is no action");
	refused("0F0,0F0 0B0", "\"0F0 0B0\" is no action");
	refused("0F99999999999999", "is no action");
	refused("0F0\t0B0", "f.csv:1:1: ");
	refused("(0F0;0B0)", "f.csv:1:1: \"(0F0;0B0)\" is no action");
	refused("(0F0,0B0)OVERLAP_F_B", "f.csv:1:1: ");
	refused("0F0,0SEND_X0", "f.csv:1:2: \"0SEND_X0\" is no action");
	refused("0F0,0SEND_F0x", "f.csv:1:2: \"0SEND_F0x\" is no action");
	refused("0F0,SEND_F0", "f.csv:1:2: \"SEND_F0\" is no action");
	refused("(0SEND_F0;0B0)OVERLAP_F_B", "f.csv:1:1: ");
	refused("0UNSHARD,0RESHARD", "f.csv: no action in it");
	refused("0F0,,0F0,0B0", "f.csv:1:3: 0F0 comes twice");
	refused("(0F0;0F0)OVERLAP_F_B,0B0", "f.csv:1:1: 0F0 comes twice");
	refused("0F0,0B0\n1F0,0F1,0B1,1B0",
		"f.csv:2:2: stage 0, but line 1 has that already");
	refused("0F0,0B0\n\n1F0,1B0", "f.csv:2:1: an empty row");
	refused("0F0,0B0\n2F0,2B0", "f.csv: no row has stage 1, and there is a "
				    "stage 2");
	refused("0F0,0B0,1F0,1B0\n2F0,2B0", "f.csv: 3 stages on 2 ranks");
	refused("0F0,0B0,1F0,1B0,2F0,2B0\n3F0,3B0",
		"f.csv: stage 2 is placed on rank 0, which has its 2 already");
	refused("9F9,9B9", "f.csv: stages up to 9 and micro-batches up to 9 need "
			   "100 forwards, and there are 2 actions in all");
}

static void headers(void)
{
	refused("# pipefw schedule 2\n0F0,0B0", "another version");
	refused("# ranks 2 chunks 1 microbatches 1\n0F0,0B0",
		"f.csv:1: the header says p=2 v=1 m=1, the rows are p=1 v=1 m=1");
	refused("# placement 1\n0F0,0B0", "does not place stage 0 on rank 0");
	refused("# placement \n0F0,0B0", "does not place stage 0 on rank 0");
	refused("# hash 0000000000000000\n0F0,0B0", "the file was changed");
}

/* Comments of others are taken for what they are. */
static void comments(void)
{
	static const char text[] = "# made by hand\n#hash 12\n0F0,0B0\n# end\n";
	struct pfw_schedule_plan *plan = NULL;

	CU_ASSERT_EQUAL(pfw_csv_parse("t", text, strlen(text), &plan, NULL), 0);
	pfw_schedule_plan_free(plan);
}

/* Good files damaged in a few places: read or refused, never a crash. */
static void damaged(void)
{
	static const char alphabet[] = "0123456789FBIW,;()\n#OVERLAP_ \r\t-\1";
	struct kit_shape k = { "interleaved", 2, 2, 4, 0 };
	struct pfw_schedule_plan *plan = kit_plan(&k, NULL), *again;
	char *text = write_text(plan, 1), *copy = malloc(strlen(text) + 1);
	size_t len = strlen(text), read = 0;

	for (uint32_t round = 0; round < 20000; round++) {
		uint32_t counter[4] = { round, 0, 0, 0 }, random[4];
		struct pfw_program *prog = NULL;

		memcpy(copy, text, len + 1);
		for (uint32_t n = 0; n <= round % 4; n++) {
			counter[1] = n;
			pfw_philox(counter, 7, random);
			copy[random[0] % len] =
				alphabet[random[1] % (sizeof(alphabet) - 1)];
		}
		again = NULL;
		if (pfw_csv_parse("t", copy, random[2] % 8 ? len : random[3] % len,
				  &again, NULL))
			continue;
		prog = kit_compile(again, 0, NULL);
		read++;
		pfw_program_free(prog);
		pfw_schedule_plan_free(again);
	}
	CU_ASSERT(read > 0);
	free(copy);
	free(text);
	pfw_schedule_plan_free(plan);
}

static const struct unit_test tests[] = {
	{ "there and back", there_and_back },
	{ "pairs, idle cells, blanks", forms },
	{ "refusals say file, line and cell", refusals },
	{ "headers are held to", headers },
	{ "comments", comments },
	{ "damaged files", damaged },
};

UNIT_MAIN("schedule csv", tests)
