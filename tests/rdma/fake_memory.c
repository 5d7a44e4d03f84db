/* The stand-in's protection domains and registered memory. */
#include "fake_impl.h"

#include <errno.h>

#include "cuda/fake_dmabuf.h"

#undef ibv_reg_mr

#define MAX_MRS 256u

struct fake_mr {
	struct ibv_mr mr; /* its address is the one that work requests have */
	char *at; /* where the host sees it */
	unsigned access;
};

static struct fake_mr *mrs[MAX_MRS];

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

void fake_allow(unsigned access)
{
	fake.readable += !!(access & (IBV_ACCESS_REMOTE_READ |
				      IBV_ACCESS_REMOTE_ATOMIC));
}

static struct ibv_mr *enlist(struct ibv_pd *pd, void *addr, char *at, size_t len,
			     int access, unsigned *count)
{
	struct fake_mr *mr;
	uint32_t n = 1;

	FAKE_LOCKED;
	/* As the kernel: what others write, the host may write. */
	errno = EINVAL;
	if (access & IBV_ACCESS_REMOTE_WRITE && !(access & IBV_ACCESS_LOCAL_WRITE))
		return NULL;
	errno = ENOMEM;
	if (!fake.registrations_left)
		return NULL;
	fake.registrations_left--;
	if (count)
		++*count;
	else
		fake.locked += len;
	mr = fake_make(sizeof(*mr));
	mr->at = at;
	mr->access = (unsigned)access;
	fake_allow(mr->access);
	mr->mr.pd = pd;
	mr->mr.addr = addr;
	mr->mr.length = len;
	while (mrs[n])
		n++;
	mrs[n] = mr;
	mr->mr.lkey = mr->mr.rkey = n;
	return &mr->mr;
}

struct ibv_mr *ibv_reg_mr(struct ibv_pd *pd, void *addr, size_t len, int access)
{
	char *at = fake.gpu ? fake.gpu(addr) : NULL;

	errno = EFAULT;
	if (at && fake.no_peer)
		return NULL;
	return enlist(pd, addr, at ? at : addr, len, access,
		      at ? &fake.peers : NULL);
}

struct ibv_mr *ibv_reg_mr_iova2(struct ibv_pd *pd, void *addr, size_t len,
				uint64_t iova, unsigned int access)
{
	(void)iova;
	return ibv_reg_mr(pd, addr, len, (int)access);
}

struct ibv_mr *ibv_reg_dmabuf_mr(struct ibv_pd *pd, uint64_t offset, size_t len,
				 uint64_t iova, int fd, int access)
{
	char *at = fake_dmabuf_at(fd, offset, len);

	errno = EOPNOTSUPP;
	if (fake.no_dmabuf)
		return NULL;
	/* As the kernel: pages map to pages. */
	errno = EINVAL;
	if (!at || (iova ^ offset) % 4096)
		return NULL;
	return enlist(pd, (void *)(uintptr_t)iova, at, len, access,
		      &fake.dmabufs);
}

int ibv_dereg_mr(struct ibv_mr *mr)
{
	FAKE_LOCKED;
	mrs[mr->lkey] = NULL;
	return fake_drop(mr);
}

void *fake_at(uint32_t key, uint64_t at, uint64_t len, unsigned access)
{
	const struct fake_mr *mr = key < MAX_MRS ? mrs[key] : NULL;
	uint64_t from = at - (mr ? (uintptr_t)mr->mr.addr : 0);

	if (!mr || access & ~mr->access || from > mr->mr.length ||
	    len > mr->mr.length - from)
		return NULL;
	return mr->at + from;
}
