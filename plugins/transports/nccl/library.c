#include "library.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

void nccl_version_text(int version, char *buf, size_t len)
{
	snprintf(buf, len, "%d.%d.%d", version / 10000, version / 100 % 100,
		 version % 100);
}

/* A function pointer from dlsym(), without a cast that C does not have. */
static int find(void *handle, const char *name, void *function)
{
	void *at = dlsym(handle, name);

	memcpy(function, &at, sizeof(at));
	return at ? 0 : -ENOENT;
}

static const char *find_all(struct nccl_library *lib)
{
	const struct {
		const char *name;
		void *at;
	} needed[] = {
		{ "ncclGetVersion", &lib->get_version },
		{ "ncclGetUniqueId", &lib->get_unique_id },
		{ "ncclCommInitRankConfig", &lib->init },
		{ "ncclCommAbort", &lib->abort },
		{ "ncclCommGetAsyncError", &lib->async_error },
		{ "ncclGetErrorString", &lib->error_string },
		{ "ncclGetLastError", &lib->last_error },
		{ "ncclSend", &lib->send },
		{ "ncclRecv", &lib->recv },
		{ "ncclAllReduce", &lib->all_reduce },
		{ "ncclReduceScatter", &lib->reduce_scatter },
		{ "ncclAllGather", &lib->all_gather },
	};

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (find(lib->handle, needed[i].name, needed[i].at))
			return needed[i].name;
	if (find(lib->handle, "ncclMemAlloc", &lib->alloc) ||
	    find(lib->handle, "ncclMemFree", &lib->free) ||
	    find(lib->handle, "ncclCommRegister", &lib->enlist) ||
	    find(lib->handle, "ncclCommDeregister", &lib->strike))
		lib->alloc = NULL;
	return NULL;
}

/* It is never closed: it leaves threads behind. */
int nccl_library_open(struct nccl_library *lib, const char *name,
		      struct pfw_error *err)
{
	char text[32];
	const char *missing;

	*lib = (struct nccl_library){ .handle = dlopen(name, RTLD_NOW) };
	if (!lib->handle)
		return pfw_error_set(err, ENODEV,
				     "NCCL is not there (%s): install libnccl2, "
				     "or put the folder that holds it into "
				     "LD_LIBRARY_PATH", dlerror());
	missing = find_all(lib);
	if (!missing && !lib->get_version(&lib->version) &&
	    lib->version >= NCCL_OLDEST)
		return 0;
	nccl_version_text(lib->version, text, sizeof(text));
	return pfw_error_set(err, ENODEV, "%s is NCCL %s%s%s: 2.18 or newer is "
			     "needed", name, lib->version ? text : "of a "
			     "version it does not tell",
			     missing ? ", without " : "",
			     missing ? missing : "");
}

int nccl_library_id(const struct nccl_library *lib, ncclUniqueId *out,
		    struct pfw_error *err)
{
	ncclResult_t rc = lib->get_unique_id(out);

	if (!rc)
		return 0;
	return pfw_error_set(err, EIO, "ncclGetUniqueId: %s",
			     lib->error_string(rc));
}
