/* Memory of the stand-in for libnccl, as of 2.19: see fake_nccl.h. */
#include "nccl/fake_nccl.h"

#include <pthread.h>
#include <stdlib.h>

#include "nccl/fake_impl.h"

/** What is registered with a communicator. */
struct listed {
	struct listed *next;
	const struct ncclComm *comm;
	void *at;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct listed *all;
static unsigned n_listed;

unsigned fake_nccl_listed(void)
{
	unsigned n;

	pthread_mutex_lock(&lock);
	n = n_listed;
	pthread_mutex_unlock(&lock);
	return n;
}

/* The lock is held; @p entry NULL: all of the communicator's.  How many. */
static unsigned take(const struct ncclComm *comm, const struct listed *entry)
{
	struct listed **at = &all;
	unsigned n = 0;

	while (*at) {
		struct listed *l = *at;

		if (l->comm == comm && (!entry || l == entry)) {
			*at = l->next;
			free(l);
			n++;
		} else {
			at = &l->next;
		}
	}
	return n;
}

void fake_nccl_unlist(const struct ncclComm *comm)
{
	pthread_mutex_lock(&lock);
	take(comm, NULL);
	pthread_mutex_unlock(&lock);
}

#ifndef FAKE_NCCL_OLD
ncclResult_t ncclMemAlloc(void **ptr, size_t bytes)
{
	ncclResult_t rc = fake_nccl_enter("ncclMemAlloc");

	if (!rc && cudaMalloc(ptr, bytes))
		rc = ncclUnhandledCudaError;
	if (!rc)
		fake_nccl_count(1);
	return rc;
}

ncclResult_t ncclMemFree(void *ptr)
{
	pthread_mutex_lock(&lock);
	for (const struct listed *l = all; l; l = l->next)
		if (l->at == ptr)
			fake_nccl_broken("ncclMemFree of what is still "
					 "registered with a communicator");
	pthread_mutex_unlock(&lock);
	fake_nccl_count(-1);
	return cudaFree(ptr) ? ncclUnhandledCudaError :
			       fake_nccl_enter("ncclMemFree");
}

ncclResult_t ncclCommRegister(const ncclComm_t comm, void *ptr, size_t bytes,
			      void **handle)
{
	ncclResult_t rc = fake_nccl_enter("ncclCommRegister");
	struct listed *l;

	if (atomic_load(&comm->aborted) || !fake_cuda_is_device(ptr, bytes))
		fake_nccl_broken("ncclCommRegister of what is no memory of the "
				 "device");
	l = rc ? NULL : malloc(sizeof(*l));
	if (!l)
		return ncclSystemError;
	pthread_mutex_lock(&lock);
	*l = (struct listed){ all, comm, ptr };
	all = l;
	n_listed++;
	pthread_mutex_unlock(&lock);
	*handle = l;
	return ncclSuccess;
}

ncclResult_t ncclCommDeregister(const ncclComm_t comm, void *handle)
{
	unsigned n;

	if (atomic_load(&comm->aborted))
		fake_nccl_broken("ncclCommDeregister after ncclCommAbort");
	pthread_mutex_lock(&lock);
	n = take(comm, handle);
	pthread_mutex_unlock(&lock);
	if (!handle || n != 1)
		fake_nccl_broken("ncclCommDeregister of what is not registered");
	return fake_nccl_enter("ncclCommDeregister");
}
#endif
