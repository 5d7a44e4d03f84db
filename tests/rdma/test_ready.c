/*
 * What the verbs transport says before ranks are started: options that fit no
 * device, and memory that may not be locked.
 */
#include "pair.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "settings/config.h"
#include "unit/unit.h"

/* Both ends of a channel in one process. */
static const struct pfw_channel_info ends[] = {
	{ .size = sizeof(ends[0]), .from = 3, .to = 4, .n_slots = 2,
	  .slot_bytes = 1 << 16, .memory = PFW_MEM_HOST, .sending = 1 },
	{ .size = sizeof(ends[0]), .from = 3, .to = 4, .n_slots = 2,
	  .slot_bytes = 1 << 16, .memory = PFW_MEM_HOST },
};

/* ready() with options @p a and @p b for @p n channels. */
static int ready(struct pair *p, const char *a, const char *b, uint32_t n)
{
	const char *texts[] = { a, b };
	struct pfw_values *opt;
	int rc;

	ops = pfw_plugin.ops;
	p->err = (struct pfw_error){ 0 };
	CU_ASSERT_EQUAL_FATAL(pfw_values_from_texts(pfw_plugin.options,
				pfw_plugin.n_options, "verbs", texts, !!a + !!b,
				&opt, &p->err), 0);
	rc = ops->ready(opt, ends, n, &p->err);
	pfw_values_free(opt);
	CU_ASSERT_EQUAL(fake_alive(), 0);
	return rc;
}

/* Where no channel is to be opened, no device is asked for. */
static void test_words(void)
{
	static const char *const bad[] = {
		"rails=,", "rails=fake0:", "rails=fake0:0", "rails=fake0:256",
		"rails=fake0:1x", "rails=fake0 fake1:1:1", "rails=a,b,c,d,e",
	};
	struct pair p;

	fake_reset();
	fake.iwarp = 3;
	CU_ASSERT_EQUAL(ready(&p, "rails=mlx5_0:2,mlx5_1", NULL, 0), 0);
	CU_ASSERT_EQUAL(ready(&p, "gid_index=1000", NULL, 0), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CU_ASSERT_EQUAL(ready(&p, bad[i], NULL, 0), -EINVAL);
		pair_expect(&p, "rails = \"");
		pair_expect(&p, "must be 1 to 4 times DEVICE[:PORT]");
	}
}

static void test_devices(void)
{
	struct pair p;

	fake_reset();
	CU_ASSERT_EQUAL(ready(&p, NULL, NULL, 2), 0);
	CU_ASSERT_EQUAL(ready(&p, "rails=fake0:1,fake1", "gid_index=1", 2), 0);
	CU_ASSERT_EQUAL(ready(&p, "rails=fake0,fake7", NULL, 2), -ENXIO);
	pair_expect(&p, "rails = \"fake0,fake7\": there is no RDMA device fake7");
	pair_expect(&p, ": fake0, fake1");
	CU_ASSERT_EQUAL(ready(&p, "rails=fake0:3", NULL, 2), -ENXIO);
	pair_expect(&p, "rails = \"fake0:3\": fake0 has no port 3");
	CU_ASSERT_EQUAL(ready(&p, "rails=fake0", "gid_index=9", 2), -EADDRNOTAVAIL);
	pair_expect(&p, "gid_index = 9: that row of fake0 port 1 is empty");
	fake.iwarp = 2;
	CU_ASSERT_EQUAL(ready(&p, "rails=fake1", NULL, 2), -EPROTONOSUPPORT);
	pair_expect(&p, "rails = \"fake1\": ");
	fake.iwarp = 3;
	CU_ASSERT_EQUAL(ready(&p, NULL, NULL, 2), -ENODEV);
	fake_reset();
}

static void capabilities(long call, struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};

	CU_ASSERT_EQUAL_FATAL(syscall(call, &head, data), 0);
}

/* So many bytes may be locked, and nobody is privileged. */
static void limit_to(rlim_t bytes)
{
	struct rlimit limit;

	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
	limit.rlim_cur = bytes;
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
}

/* It asks for what is then registered, to the byte; a GPU's memory is none. */
static void test_locked(void)
{
	struct __user_cap_data_struct had[2], has[2];
	struct pfw_channel_info of_gpu = ends[0];
	struct rlimit was;
	struct pair p;

	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_MEMLOCK, &was), 0);
	capabilities(SYS_capget, had);
	has[0] = had[0];
	has[1] = had[1];
	has[0].effective &= ~CAP_TO_MASK(CAP_IPC_LOCK);
	CU_ASSERT_EQUAL_FATAL(pair_open(&p, NULL, 2, 1 << 16), 0);
	CU_ASSERT(fake.locked > 4 * (2 << 16) && fake.locked < 4 * (3 << 16));
	of_gpu.memory = PFW_MEM_CUDA;
	capabilities(SYS_capset, has);
	limit_to(fake.locked);
	CU_ASSERT_EQUAL(ops->ready(p.opt, ends, 2, &p.err), 0);
	limit_to(fake.locked - 1024);
	CU_ASSERT_EQUAL(ops->ready(p.opt, ends, 2, &p.err), -ENOMEM);
	pair_expect(&p, "process of rank 3 (2 ends of channels, 2 rails)");
	pair_expect(&p, "and ulimit -l is ");
	pair_expect(&p, "LimitMEMLOCK=infinity");
	CU_ASSERT_EQUAL(ops->ready(p.opt, ends, 1, &p.err), 0);
	limit_to(32 << 10);
	CU_ASSERT_EQUAL(ops->ready(p.opt, ends, 1, &p.err), -ENOMEM);
	CU_ASSERT_EQUAL(ops->ready(p.opt, &of_gpu, 1, &p.err), 0);
	capabilities(SYS_capset, had);
	limit_to(was.rlim_cur);
	pair_close(&p);
}

static const struct unit_test tests[] = {
	{ "rails that cannot be read", test_words },
	{ "devices that are not there", test_devices },
	{ "memory to be locked", test_locked },
};

UNIT_MAIN("verbs before it starts", tests)
