/* Loading cublasLt, where the toolkit has it or the system finds it. */
#include <dlfcn.h>
#include <errno.h>

#include "cuda.h"

#define TEXT(x) TEXT_OF(x)
#define TEXT_OF(x) #x
#define FILE_NAME "libcublasLt.so." TEXT(CUBLAS_VER_MAJOR)

static int find(void *library, const char *name, void *out,
		struct pfw_error *err)
{
	void *symbol = dlsym(library, name);

	if (!symbol)
		return pfw_error_set(err, ENODEV, "cuda: %s has no %s",
				     FILE_NAME, name);
	*(void **)out = symbol;
	return 0;
}

/* It stays loaded: it does not survive dlclose(). */
int cuda_lt_load(struct cuda_lt *lt, struct pfw_error *err)
{
	void *library = dlopen(FILE_NAME, RTLD_NOW | RTLD_LOCAL);
	int rc = 0;

	if (!library)
		return pfw_error_set(err, ENODEV,
				     "cuda: %s: install the toolkit's cuBLAS, or "
				     "add its folder to LD_LIBRARY_PATH",
				     dlerror());
#define X(name)                                                                \
	if (!rc)                                                               \
		rc = find(library, "cublasLt" #name, &lt->name, err);
	CUDA_LT_CALLS(X)
#undef X
	return rc;
}
