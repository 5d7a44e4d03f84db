/*
 * Fuzz target: a .safetensors file.  Refused with a sentence, or its tensors lie
 * one after the other up to the file's end, and all of them can be read.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "model/safetensors.h"

static void broken(const char *what)
{
	fprintf(stderr, "fuzz: %s\n", what);
	abort();
}

static const char *put(const void *bytes, size_t len)
{
	static char path[32];
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("safetensors", MFD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	if (fd < 0 || ftruncate(fd, 0) ||
	    pwrite(fd, bytes, len, 0) != (ssize_t)len)
		broken(strerror(errno));
	return path;
}

static void read_all(const struct pfw_st_reader *r, size_t size)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < pfw_st_count(r); i++) {
		const struct pfw_st_tensor *t = pfw_st_get(r, i);
		uint64_t n = t->bytes / (t->dtype == PFW_ST_F32 ? 4 : 2);
		float *values;

		if (t->offset > size || t->bytes > size - t->offset)
			broken("a tensor lies outside of the file");
		if (pfw_st_find(r, t->name) != t)
			broken("a tensor is not found");
		bytes += t->bytes;
		values = malloc((n + 1) * sizeof(*values));
		if (values && t->dtype != PFW_ST_OTHER &&
		    pfw_st_read_f32(r, t, 0, n, values, NULL))
			broken("a tensor is not read");
		free(values);
	}
	if (bytes > size - 8)
		broken("more data than file");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pfw_error err = { 0 };
	struct pfw_st_reader *r;

	if (!pfw_st_open(put(data, size), &r, &err)) {
		read_all(r, size);
		pfw_st_close(r);
	} else if (!*err.text || !err.code) {
		broken("refused without a word");
	}
	return 0;
}
