/*
 * Slots of the verbs transport that are a GPU's memory: which way the adapter
 * reaches it, and that the host never touches it.
 */
#include "pair.h"

#include <errno.h>
#include <string.h>

#include "cuda/fake_dmabuf.h"
#include "unit/unit.h"

#define ASIDE 256u /* memory of a GPU need not begin on a page */

/* One block of memory, twice: where the GPU has it nobody else may look. */
struct gpu {
	char *base, *seen;
	size_t bytes; /* 0: nothing is taken */
	unsigned taken, arrived;
	bool exports, refuses, fails;
};

static struct gpu gpus[2];

static int gpu_alloc(void *device, size_t bytes, void **out, struct pfw_error *err)
{
	struct gpu *g = device;
	int fd = memfd_create("gpu", MFD_CLOEXEC);

	(void)err;
	CU_ASSERT_FATAL(!g->bytes && fd >= 0);
	g->bytes = (bytes + ASIDE + 4095) / 4096 * 4096;
	CU_ASSERT_EQUAL_FATAL(ftruncate(fd, (off_t)g->bytes), 0);
	g->base = mmap(NULL, g->bytes, PROT_NONE, MAP_SHARED, fd, 0);
	g->seen = mmap(NULL, g->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CU_ASSERT_FATAL(g->base != MAP_FAILED && g->seen != MAP_FAILED);
	close(fd);
	g->taken++;
	*out = g->base + ASIDE;
	return 0;
}

static void gpu_free(void *device, void *ptr)
{
	struct gpu *g = device;

	CU_ASSERT_PTR_EQUAL(ptr, g->base + ASIDE);
	munmap(g->base, g->bytes);
	munmap(g->seen, g->bytes);
	g->bytes = 0;
}

static int gpu_share(void *device, void *ptr, size_t bytes, int *dmabuf,
		     uint64_t *offset, struct pfw_error *err)
{
	const struct gpu *g = device;

	(void)bytes;
	if (g->refuses)
		return pfw_error_set(err, ENOTSUP, "this one keeps it to itself");
	*dmabuf = g->exports ? fake_dmabuf_make(g->seen, g->bytes) : -1;
	*offset = (uint64_t)((char *)ptr - g->base);
	return 0;
}

static int gpu_arrived(void *device, struct pfw_error *err)
{
	struct gpu *g = device;

	g->arrived++;
	return g->fails ? pfw_error_set(err, EIO, "the GPU is gone") : 0;
}

static const struct pfw_device_ops shares = {
	.size = sizeof(shares), .alloc = gpu_alloc, .free = gpu_free,
	.share = gpu_share, .arrived = gpu_arrived,
};
static const struct pfw_device_ops shares_not = {
	.size = sizeof(shares_not), .alloc = gpu_alloc, .free = gpu_free,
};

static char *look(const void *ptr)
{
	for (uint32_t i = 0; i < 2; i++) {
		struct gpu *g = &gpus[i];

		if (g->bytes && (const char *)ptr >= g->base &&
		    (const char *)ptr < g->base + g->bytes)
			return g->seen + ((const char *)ptr - g->base);
	}
	return NULL;
}

/* Transports; the slots of these ends (a bit each) will be a GPU's memory. */
static void open_ranks(struct pair *p, const char *option, unsigned ends)
{
	static const uint8_t key[PFW_MAC_BYTES] = "the same";
	const uint8_t *const keys[2] = { key, key };

	CU_ASSERT_EQUAL_FATAL(pair_open_ranks(p, option, keys), 0);
	fake.gpu = look;
	for (uint32_t r = 0; r < 2; r++) {
		gpus[r] = (struct gpu){ .exports = true };
		p->device[r] = &gpus[r];
		if (ends >> r & 1)
			p->device_ops[r] = &shares;
	}
}

static void says(const struct pair *p, uint32_t rank, const char *words)
{
	char text[512];

	ops->describe(p->transport[rank], text, sizeof(text));
	if (strstr(text, words))
		return;
	fprintf(stderr, "no \"%s\" in: %s\n", words, text);
	CU_FAIL("see above");
}

static void close_all(struct pair *p)
{
	pair_close(p);
	CU_ASSERT(!gpus[0].bytes && !gpus[1].bytes);
}

/* Every way that a message can go, at either end or both. */
static void test_dmabuf(void)
{
	static const char *const options[] = { NULL, "qps=4", "notify=send" };
	static const uint64_t sizes[] = { 0, 1, 64, 65, 8128, 8129, 262143, 262144,
					  1048576, 3 << 20 };
	struct pair p;

	for (unsigned ends = 1; ends <= 3; ends++)
		for (size_t o = 0; o < 3; o++) {
			uint64_t m = 0;

			open_ranks(&p, options[o], ends);
			CU_ASSERT_EQUAL_FATAL(pair_open_ends(&p, 3, 3 << 20), 0);
			for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
				for (uint32_t slot = 0; slot < 3; slot++, m++)
					CU_ASSERT_EQUAL(pair_pass(&p, slot, m,
								  sizes[i]), 0);
			CU_ASSERT_EQUAL(fake.dmabufs, ends == 3 ? 4 : 2);
			CU_ASSERT_EQUAL(fake.peers, 0);
			CU_ASSERT_EQUAL(gpus[1].arrived, ends > 1 ? m : 0);
			for (uint32_t r = 0; r < 2; r++)
				says(&p, r, ends >> r & 1 ? "; GPU memory by dmabuf" :
							   "; host memory");
			close_all(&p);
		}
}

/* Where the kernel takes no dmabuf, or the GPU's driver gives none. */
static void test_peer(void)
{
	struct pair p;

	for (int given = 0; given < 2; given++) {
		open_ranks(&p, NULL, 3);
		fake.no_dmabuf = given;
		gpus[0].exports = gpus[1].exports = given;
		CU_ASSERT_EQUAL_FATAL(pair_open_ends(&p, 2, 1 << 20), 0);
		for (uint64_t m = 0; m < 10; m++)
			CU_ASSERT_EQUAL(pair_pass(&p, m % 2, m, 100000), 0);
		CU_ASSERT_EQUAL(fake.dmabufs, 0);
		CU_ASSERT_EQUAL(fake.peers, 4);
		says(&p, 0, "; GPU memory by peer memory");
		close_all(&p);
	}
}

/* One end stages, the other need not know; and it is asked once. */
static void test_staging(void)
{
	struct pair p;

	open_ranks(&p, NULL, 1);
	fake.no_dmabuf = fake.no_peer = true;
	for (uint64_t channel = 0; channel < 2; channel++) {
		p.device_ops[0] = &shares;
		CU_ASSERT_EQUAL_FATAL(pair_open_ends(&p, 2, 1 << 20), 0);
		for (uint64_t m = 0; m < 10; m++)
			CU_ASSERT_EQUAL(pair_pass(&p, m % 2, m, 100000), 0);
		CU_ASSERT_PTR_NULL(look(ops->slot(p.tx, 0)));
		CU_ASSERT_EQUAL(gpus[0].taken, 1);
		CU_ASSERT_EQUAL(fake.dmabufs + fake.peers, 0);
		says(&p, 0, "; GPU memory by staging: dmabuf: Operation not "
			    "supported, peer memory: Bad address");
		says(&p, 1, "; host memory");
		pair_close_ends(&p);
	}
	close_all(&p);
}

/* A second rail that does not reach it is as bad as none. */
static void test_one_rail(void)
{
	struct pair p;

	open_ranks(&p, NULL, 1);
	fake.registrations_left = 1;
	CU_ASSERT_EQUAL(pair_open_ends(&p, 2, 64), -ENOMEM);
	says(&p, 0, "; GPU memory by staging: dmabuf: Cannot allocate memory");
	CU_ASSERT_EQUAL(fake.dmabufs, 1);
	CU_ASSERT_EQUAL(gpus[0].bytes, 0);
	/* There may be room for another channel, and the header tells of both. */
	pair_close_ends(&p);
	fake.registrations_left = ~0u;
	p.device_ops[0] = &shares;
	CU_ASSERT_EQUAL(pair_open_ends(&p, 2, 64), 0);
	CU_ASSERT_EQUAL(fake.dmabufs, 3);
	says(&p, 0, "; GPU memory by dmabuf, staging: dmabuf: Cannot allocate memory");
	close_all(&p);
}

static void test_keeps(void)
{
	struct pair p;

	open_ranks(&p, NULL, 3);
	p.device_ops[0] = &shares_not;
	gpus[1].refuses = true;
	CU_ASSERT_EQUAL_FATAL(pair_open_ends(&p, 2, 64), 0);
	CU_ASSERT_EQUAL(pair_pass(&p, 0, 0, 64), 0);
	says(&p, 0, "; GPU memory by staging: the device shares no memory");
	says(&p, 1, "; GPU memory by staging: this one keeps it to itself");
	close_all(&p);
}

static void test_not_arrived(void)
{
	struct pair p;
	uint32_t slot;

	open_ranks(&p, NULL, 2);
	CU_ASSERT_EQUAL_FATAL(pair_open_ends(&p, 2, 64), 0);
	gpus[1].fails = true;
	CU_ASSERT_EQUAL(pair_send(&p, 0, 0, 64), 0);
	CU_ASSERT_EQUAL(pair_take(&p, &slot, 0, 64), -EIO);
	pair_expect(&p, "the GPU is gone");
	close_all(&p);
}

static const struct unit_test tests[] = {
	{ "by dmabuf", test_dmabuf },
	{ "by peer memory", test_peer },
	{ "by staging", test_staging },
	{ "by one rail alone", test_one_rail },
	{ "a device that shares nothing", test_keeps },
	{ "what has not arrived", test_not_arrived },
};

UNIT_MAIN("verbs and GPUs", tests)
