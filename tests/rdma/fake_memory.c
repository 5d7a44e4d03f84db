/* The stand-in's protection domains and registered memory. */
#include "fake_impl.h"

#include <errno.h>

#undef ibv_reg_mr

#define MAX_MRS 256u

static struct ibv_mr *mrs[MAX_MRS];

struct ibv_pd *ibv_alloc_pd(struct ibv_context *c)
{
	struct ibv_pd *pd = fake_make(sizeof(*pd));

	pd->context = c;
	return pd;
}

int ibv_dealloc_pd(struct ibv_pd *pd)
{
	return fake_drop(pd);
}

struct ibv_mr *ibv_reg_mr(struct ibv_pd *pd, void *addr, size_t len, int access)
{
	struct ibv_mr *mr;
	uint32_t n = 1;

	(void)access;
	errno = ENOMEM;
	if (!fake.registrations_left)
		return NULL;
	fake.registrations_left--;
	mr = fake_make(sizeof(*mr));
	mr->pd = pd;
	mr->addr = addr;
	mr->length = len;
	while (mrs[n])
		n++;
	mrs[n] = mr;
	mr->lkey = mr->rkey = n;
	return mr;
}

struct ibv_mr *ibv_reg_mr_iova2(struct ibv_pd *pd, void *addr, size_t len,
				uint64_t iova, unsigned int access)
{
	(void)iova;
	return ibv_reg_mr(pd, addr, len, (int)access);
}

int ibv_dereg_mr(struct ibv_mr *mr)
{
	mrs[mr->lkey] = NULL;
	return fake_drop(mr);
}

bool fake_inside(uint32_t key, uint64_t at, uint64_t len)
{
	const struct ibv_mr *mr = key < MAX_MRS ? mrs[key] : NULL;

	return mr && at >= (uintptr_t)mr->addr &&
	       at + len <= (uintptr_t)mr->addr + mr->length;
}
