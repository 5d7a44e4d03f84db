/* Loading cuDNN, where the toolkit has it or the system finds it. */
#include "dnn.h"

#ifdef HAVE_CUDNN

#include <dlfcn.h>
#include <errno.h>

#define FILE_NAME "libcudnn.so.9"

int cuda_dnn_load(struct cuda_dnn_lib *lib, struct pfw_error *err)
{
	void *library = dlopen(FILE_NAME, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return pfw_error_set(err, ENODEV,
				     "%s: install cuDNN 9, or add its folder to "
				     "LD_LIBRARY_PATH", dlerror());
#define X(name)                                                                \
	*(void **)&lib->name = dlsym(library, "cudnn" #name);                  \
	if (!lib->name)                                                        \
		return pfw_error_set(err, ENODEV, "%s has no cudnn%s",   \
				     FILE_NAME, #name);
	CUDA_DNN_CALLS(X)
#undef X
	return 0;
}

#endif
