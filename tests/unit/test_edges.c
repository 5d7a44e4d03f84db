/* Edges of a job made by hand: no plugin, no schedule. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "runtime/job_make.h"

static void expect_bytes(const struct pfw_job *job, uint64_t bytes)
{
	struct pfw_error err = { 0 };

	CU_ASSERT_EQUAL(pfw_job_slot_bytes(job), bytes);
	CU_ASSERT_EQUAL(pfw_job_slots_fit(job, bytes, &err), 0);
	if (bytes)
		CU_ASSERT_EQUAL(pfw_job_slots_fit(job, bytes - 1, &err), -ENOMEM);
}

static void slots_are_counted(void)
{
	struct pfw_edge edges[] = {
		{ .from = 0, .to = 0, .n_slots = 3, .slot_bytes = 64 },
		{ .from = 0, .to = 1, .n_slots = 2, .slot_bytes = 4096 },
	};
	struct pfw_job job = { .edges = edges, .n_edges = 2,
			       .props.shared_slots = 1 };

	expect_bytes(&job, 3 * 64 + 2 * 4096);
	job.props.shared_slots = 0;
	expect_bytes(&job, 3 * 64 + 2 * 2 * 4096);
	job.n_edges = 0;
	expect_bytes(&job, 0);
}

/* Slots that no machine has are refused, with what to change. */
static void too_many_bytes_are_refused(void)
{
	struct pfw_edge edges[] = {
		{ .from = 0, .to = 1, .n_slots = 1, .slot_bytes = 64 },
		{ .from = 1, .to = 2, .kind = PFW_CHANNEL_GRADIENT,
		  .n_slots = 5, .slot_bytes = 7ull << 20 },
	};
	struct pfw_job job = { .edges = edges, .n_edges = 2,
			       .props.shared_slots = 1 };
	struct pfw_error err = { 0 };

	CU_ASSERT_EQUAL(pfw_job_slots_fit(&job, 20ull << 20, &err), -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "want 35 MiB"));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "20 MiB to give"));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "gradient from rank 1 to rank 2"));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "5 slots of 7 MiB"));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "pipeline.microbatch_size"));
	/* 2^31 slots of 2^46 bytes: the product would wrap to 0. */
	edges[1].n_slots = 1u << 31;
	edges[1].slot_bytes = 1ull << 46;
	CU_ASSERT_EQUAL(pfw_job_slot_bytes(&job), PFW_SIZE_MAX);
	CU_ASSERT_EQUAL(pfw_job_slots_fit(&job, 1ull << 40, &err), -ENOMEM);
}

/* Channels of two programs with the same ends are one edge, the widest. */
static void edges_are_merged(void)
{
	struct pfw_planned_message message = { .stage = 0 };
	struct pfw_channel train[] = {
		{ .from = 1, .to = 0, .kind = PFW_CHANNEL_GRADIENT, .n_slots = 3 },
		{ .from = 0, .to = 1, .n_slots = 2 },
	}, eval[] = {
		{ .from = 0, .to = 1, .n_slots = 5, .n_messages = 1,
		  .messages = &message },
		{ .from = 0, .to = 2, .n_slots = 1 },
	};
	struct pfw_program programs[] = {
		{ .ranks = 3, .channels = train, .n_channels = 2 },
		{ .ranks = 3, .channels = eval, .n_channels = 2 },
	};
	struct pfw_model_stage stage = { .output_bytes = 100 };
	struct pfw_model model = { .stages = &stage };
	struct pfw_job job = { .model = &model,
			       .programs = { { .program = &programs[0] },
					     { .program = &programs[1] } } };
	const struct pfw_edge *e;
	uint32_t i;

	CU_ASSERT_EQUAL_FATAL(pfw_job_make_edges(&job, NULL), 0);
	CU_ASSERT_EQUAL(job.n_edges, 3 + 4); /* and scalars, of two ranks */
	i = pfw_job_edge(&job, 0, 1, PFW_CHANNEL_ACTIVATION, PFW_NONE);
	CU_ASSERT_FATAL(i < job.n_edges);
	e = &job.edges[i];
	CU_ASSERT_EQUAL(e->n_slots, 5);
	CU_ASSERT_EQUAL(e->slot_bytes, 128);
	CU_ASSERT_EQUAL(job.programs[0].edge[1], i);
	CU_ASSERT_EQUAL(job.programs[1].edge[0], i);
	for (i = 1; i < job.n_edges; i++)
		CU_ASSERT(job.edges[i - 1].from < job.edges[i].from ||
			  job.edges[i - 1].to != job.edges[i].to ||
			  job.edges[i - 1].kind != job.edges[i].kind);
	free(job.programs[0].edge);
	free(job.programs[1].edge);
	free(job.edges);
}

/* Each is found, whatever their number; what is not there is not. */
static void edges_are_found(void)
{
	struct pfw_edge edges[9];
	struct pfw_job job = { .edges = edges };

	for (uint32_t n = 0; n <= 9; n++) {
		for (uint32_t i = 0; i < n; i++)
			edges[i] = (struct pfw_edge){ .from = i / 3, .to = 2 * (i % 3) };
		job.n_edges = n;
		for (uint32_t i = 0; i < n; i++)
			CU_ASSERT_EQUAL(pfw_job_edge(&job, i / 3, 2 * (i % 3), 0,
						     0), i);
		for (uint32_t i = 0; i < 9; i++) {
			CU_ASSERT_EQUAL(pfw_job_edge(&job, i / 3, 2 * (i % 3) + 1,
						     0, 0), PFW_NONE);
			CU_ASSERT_EQUAL(pfw_job_edge(&job, i / 3, 2 * (i % 3), 1,
						     0), PFW_NONE);
			CU_ASSERT_EQUAL(pfw_job_edge(&job, i / 3, 2 * (i % 3), 0,
						     1), PFW_NONE);
		}
	}
}

static const struct unit_test tests[] = {
	{ "slots are counted where they lie", slots_are_counted },
	{ "edges of several programs", edges_are_merged },
	{ "edges are found", edges_are_found },
	{ "more than there is", too_many_bytes_are_refused },
};

UNIT_MAIN("edges", tests)
