/*
 * Words of the host's memory that streams write and wait for, without a kernel:
 * how the work of two processes is put in order.
 */
#include <errno.h>

#include "cuda.h"

/* CUDA's <cuda.h>: a write follows all that the stream did before, as others see
 * it; a wait is for (int64_t)(word - value) >= 0. */
#define WRITE_DEFAULT 0 /* CU_STREAM_WRITE_VALUE_DEFAULT */
#define WAIT_GEQ 0      /* CU_STREAM_WAIT_VALUE_GEQ */

/* Where the card has the word. */
static int find(struct cuda_queue *q, uint64_t *word, unsigned long long *at,
		struct pfw_error *err)
{
	struct cuda_device *dev = q->device;
	cudaError_t e;
	void *p;

	if (!dev->words.write && cuda_find_words(dev->card, &dev->words))
		return pfw_error_set(err, ENOTSUP, "cuda: card %d or its driver "
				     "has no stream memory operations of 64 "
				     "bits", dev->card);
	e = cudaHostGetDevicePointer(&p, word, 0);
	if (!e)
		*at = (uintptr_t)p;
	return cuda_result("cudaHostGetDevicePointer", e, err);
}

static int answer(const char *call, int result, struct pfw_error *err)
{
	if (!result)
		return 0;
	return pfw_error_set(err, EIO, "cuda: %s: error %d of the driver", call,
			     result);
}

int cuda_raise(void *queue, uint64_t *word, uint64_t value,
	       struct pfw_error *err)
{
	struct cuda_queue *q = queue;
	unsigned long long at;
	int rc = find(q, word, &at, err);

	return rc ? rc : answer("cuStreamWriteValue64",
				q->device->words.write(q->stream, at, value,
						       WRITE_DEFAULT), err);
}

int cuda_hold(void *queue, uint64_t *word, uint64_t value,
	      struct pfw_error *err)
{
	struct cuda_queue *q = queue;
	unsigned long long at;
	int rc = find(q, word, &at, err);

	return rc ? rc : answer("cuStreamWaitValue64",
				q->device->words.wait(q->stream, at, value,
						      WAIT_GEQ), err);
}
