/* Saving what is large: the others see that a rank gets on, to the end. */
#include "unit.h"

#include <string.h>

#include "runtime/rank.h"
#include "tmpdir.h"

/* Not a whole number of pieces. */
#define ELEMENTS (5 * PFW_PIECE / 2)

static struct pfw_status status;
/* Bytes that no disk has been waited for, now and at most; turns when the last
 * of them came. */
static uint64_t ahead, most_ahead, turns_at_write, turns_between;

ssize_t __real_pwrite(int fd, const void *buf, size_t n, off_t at);
ssize_t __wrap_pwrite(int fd, const void *buf, size_t n, off_t at);
ssize_t __wrap_pwrite(int fd, const void *buf, size_t n, off_t at)
{
	uint64_t turns = atomic_load(&status.turns);

	ahead += n;
	most_ahead = ahead > most_ahead ? ahead : most_ahead;
	turns_between += turns != turns_at_write;
	turns_at_write = turns;
	return __real_pwrite(fd, buf, n, at);
}

/* Neither is done: the disk's own speed is not under test. */
int __wrap_sync_file_range(int fd, off_t at, off_t n, unsigned flags);
int __wrap_sync_file_range(int fd, off_t at, off_t n, unsigned flags)
{
	(void)fd;
	(void)at;
	(void)n;
	(void)flags;
	ahead = 0;
	return 0;
}

int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	(void)fd;
	return 0;
}

static int boot_fence(struct pfw_boot *boot, uint64_t deadline,
		      struct pfw_error *err)
{
	(void)boot;
	(void)deadline;
	(void)err;
	return 0;
}

static int boot_tell(struct pfw_boot *boot, const struct pfw_event *event,
		     struct pfw_error *err)
{
	(void)boot;
	(void)event;
	(void)err;
	return 0;
}

static int device_copy(void *queue, void *to, const void *from, size_t bytes,
		       uint32_t direction, struct pfw_error *err)
{
	(void)queue;
	(void)direction;
	(void)err;
	memcpy(to, from, bytes);
	return 0;
}

static int device_sync(void *queue, struct pfw_error *err)
{
	(void)queue;
	(void)err;
	return 0;
}

static const struct pfw_boot_ops boot_ops = { .fence = boot_fence,
					      .tell = boot_tell };
static const struct pfw_device_ops device_ops = { .copy = device_copy,
						  .sync = device_sync };
static const struct pfw_stage_ops stage_ops = { .size = sizeof(stage_ops) };

static struct pfw_model_param params[] = {
	{ .info = { .name = "large", .n_dims = 1, .dims = { ELEMENTS } },
	  .elements = ELEMENTS },
};
static const struct pfw_model model = {
	.ops = &stage_ops, .params = params, .n_params = 1, .elements = ELEMENTS,
};

static int save(float *numbers, struct pfw_error *err)
{
	struct pfw_config cfg = { .run.timeout = 1 };
	struct pfw_job job = { .cfg = &cfg, .run_dir = tmp_dir };
	struct pfw_boot boot = { .ops = &boot_ops, .ranks = 1,
				 .status = &status };
	struct pfw_rank_param param = { .owned = 1, .n = ELEMENTS,
					.weight = numbers, .moment1 = numbers,
					.moment2 = numbers };
	struct pfw_rank rank = { .job = &job, .boot = &boot, .params = &param,
				 .n_params = 1, .device_ops = &device_ops,
				 .state.step = 1 };
	int rc = pfw_tokenizer_open("byte", "", &job.tokenizer, err);

	job.model = (struct pfw_model *)&model;
	if (!rc)
		rc = pfw_rank_save(&rank, err);
	pfw_tokenizer_close(job.tokenizer);
	return rc;
}

static void a_large_parameter_in_pieces(void)
{
	float *numbers = malloc(ELEMENTS * sizeof(float)), *back;
	struct pfw_checkpoint_reader *r;
	struct pfw_train_state state;
	struct pfw_error err = { 0 };

	tmp_make();
	back = calloc(ELEMENTS, sizeof(float));
	CU_ASSERT_FATAL(numbers && back);
	for (uint64_t i = 0; i < ELEMENTS; i++)
		numbers[i] = (float)(i % 65537);
	CU_ASSERT_EQUAL_FATAL(save(numbers, &err), 0);
	CU_ASSERT(turns_between >= 3 * 2);
	CU_ASSERT(most_ahead < 3 * PFW_PIECE * sizeof(float));
	CU_ASSERT_EQUAL_FATAL(pfw_checkpoint_open_reader(tmp_dir, &model, &state,
							 &r, &err), 0);
	for (uint32_t part = 0; part < 3; part++) {
		memset(back, 0, ELEMENTS * sizeof(float));
		CU_ASSERT_EQUAL(pfw_checkpoint_read(r, 0, part, back, &err), 0);
		CU_ASSERT(!memcmp(back, numbers, ELEMENTS * sizeof(float)));
	}
	pfw_checkpoint_close_reader(r);
	free(numbers);
	free(back);
	tmp_remove();
}

static const struct unit_test tests[] = {
	{ "a large parameter, piece by piece", a_large_parameter_in_pieces },
};

UNIT_MAIN("save", tests)
