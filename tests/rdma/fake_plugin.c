/*
 * The verbs transport over the stand-in, as a plugin: for ranks that are threads of
 * one process, with GPUs of the stand-in for CUDA.
 *
 * FAKE_VERBS=WORD,...: no_dmabuf and no_peer are those of struct fake_verbs.
 */
#include "fake_verbs.h"

#include <stdlib.h>
#include <string.h>

#include "cuda/fake_cuda.h"

static char *gpu(const void *ptr)
{
	return fake_cuda_is_device(ptr, 1) ? (char *)ptr : NULL;
}

__attribute__((constructor)) static void start(void)
{
	const char *words = getenv("FAKE_VERBS");

	fake_reset();
	fake.gpu = gpu;
	fake.no_dmabuf = words && strstr(words, "no_dmabuf");
	fake.no_peer = words && strstr(words, "no_peer");
}
