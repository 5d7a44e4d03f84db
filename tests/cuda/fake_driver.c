/* What the stand-in has in place of the driver's own library. */
#include "cuda/fake_cuda.h"
#include "cuda/fake_dmabuf.h"

#include "cuda.h"

#include <errno.h>
#include <stdlib.h>

int cuda_export(uintptr_t first, size_t bytes)
{
	void *at = (void *)first;

	return fake_cuda_is_device(at, bytes) ? fake_dmabuf_make(at, bytes) : -1;
}

/* FAKE_CUDA_WORDS=0: as a driver that is too old. */
int cuda_find_words(int card, struct cuda_words *out)
{
	const char *text = getenv("FAKE_CUDA_WORDS");

	(void)card;
	if (text && !atoi(text))
		return -ENOTSUP;
	*out = (struct cuda_words){ fake_cuda_write_value, fake_cuda_wait_value };
	return 0;
}
