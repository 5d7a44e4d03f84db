/*
 * Memory of the card for other processes of the host: CUDA's IPC handles.
 *
 * A handle is of a whole allocation, so what is lent is that and an offset.  Who
 * borrows on the same card computes on it in place; on another card it is reached
 * by the copy engines, where the two cards reach each other.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cuda.h"

#define MAGIC 0x636f6c6177666970u /* "pifwaloc" */

/* What a struct pfw_lent holds. */
struct lent {
	uint64_t magic;
	uint64_t offset; /* in the allocation */
	uint64_t at;     /* as its own process has it */
	int32_t card;    /* likewise */
	int32_t failed;  /* cudaError_t: it has no handle */
	cudaUUID_t uuid; /* of the card */
	cudaIpcMemHandle_t handle;
};

_Static_assert(sizeof(struct lent) <= sizeof(struct pfw_lent), "it must fit");

struct cuda_loan {
	struct cuda_loan *next;
	char *base, *at;
};

static int uuid_of(const struct cuda_device *dev, cudaUUID_t *out,
		   struct pfw_error *err)
{
	struct cudaDeviceProp card;
	int rc = cuda_result("cudaGetDeviceProperties",
			     cudaGetDeviceProperties(&card, dev->card), err);

	if (!rc)
		*out = card.uuid;
	return rc;
}

int cuda_lend(void *device, void *ptr, struct pfw_lent *out,
	      struct pfw_error *err)
{
	struct cuda_device *dev = device;
	char *base = cuda_allocation_of(dev, ptr);
	struct lent l;
	int rc;

	if (!base)
		return pfw_error_set(err, EINVAL, "cuda: what is not its memory "
				     "is not lent");
	memset(&l, 0, sizeof(l));
	l.magic = MAGIC;
	l.offset = (uint64_t)((char *)ptr - base);
	l.at = (uintptr_t)ptr;
	l.card = dev->card;
	rc = uuid_of(dev, &l.uuid, err);
	if (rc)
		return rc;
	/* A thread of this process can do without. */
	l.failed = cudaIpcGetMemHandle(&l.handle, base);
	if (l.failed)
		cudaGetLastError();
	memset(out, 0, sizeof(*out));
	memcpy(out->bytes, &l, sizeof(l));
	return 0;
}

static int no_loan(const char *call, int e, struct pfw_error *err)
{
	cudaGetLastError();
	return pfw_error_set(err, ENOTSUP, "CUDA IPC: %s: %s", call,
			     cudaGetErrorString((cudaError_t)e));
}

/* A copy goes straight from card to card where they reach each other, and CUDA
 * takes it by way of the host where they do not. */
static void reach(const struct cuda_device *dev, int card)
{
	int can = 0;

	if (card != dev->card &&
	    !cudaDeviceCanAccessPeer(&can, dev->card, card) && can)
		cudaDeviceEnablePeerAccess(card, 0);
	cudaGetLastError(); /* perhaps it is enabled already */
}

static int open_handle(struct cuda_device *dev, const struct lent *l, void **out,
		       struct pfw_error *err)
{
	struct cuda_loan *loan;
	void *base;
	cudaError_t e;

	if (l->failed)
		return no_loan("cudaIpcGetMemHandle", l->failed, err);
	loan = calloc(1, sizeof(*loan));
	if (!loan)
		return pfw_error_set(err, ENOMEM, "out of memory");
	e = cudaIpcOpenMemHandle(&base, l->handle,
				 cudaIpcMemLazyEnablePeerAccess);
	if (e) {
		free(loan);
		return no_loan("cudaIpcOpenMemHandle", e, err);
	}
	loan->base = base;
	loan->at = loan->base + l->offset;
	loan->next = dev->loans;
	dev->loans = loan;
	*out = loan->at;
	return 0;
}

int cuda_borrow(void *device, const struct pfw_lent *from, int ours, void **out,
		int *in_place, struct pfw_error *err)
{
	struct cuda_device *dev = device;
	cudaUUID_t uuid;
	struct lent l;
	void *at = NULL;
	int rc = uuid_of(dev, &uuid, err);

	memcpy(&l, from->bytes, sizeof(l));
	if (!rc && l.magic != MAGIC)
		rc = pfw_error_set(err, ENOTSUP, "what was lent is not memory "
				   "of a CUDA card");
	if (!rc && ours) {
		at = (void *)(uintptr_t)l.at;
		reach(dev, l.card);
	} else if (!rc) {
		rc = open_handle(dev, &l, &at, err);
	}
	if (rc)
		return rc;
	*out = at;
	*in_place = !memcmp(&uuid, &l.uuid, sizeof(uuid));
	return 0;
}

/* CUDA counts how often an allocation was opened. */
void cuda_give_back(void *device, void *ptr)
{
	struct cuda_device *dev = device;
	struct cuda_loan **at = &dev->loans, *loan;

	while (*at && (*at)->at != ptr)
		at = &(*at)->next;
	loan = *at;
	if (!loan) /* of this process */
		return;
	*at = loan->next;
	cudaIpcCloseMemHandle(loan->base);
	free(loan);
}
