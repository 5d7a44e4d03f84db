/*
 * library.h: libnccl, opened when the transport is.
 *
 * Built against the header of one version, run with the library of another: both
 * must be 2.18 or newer, whose communicators can be made without blocking, capped
 * and aborted.  What came later is a NULL here where the library has none.
 */
#ifndef PFW_NCCL_LIBRARY_H
#define PFW_NCCL_LIBRARY_H

#include <pipefw/transport.h>

#include <nccl.h>

#if NCCL_VERSION_CODE < NCCL_VERSION(2, 18, 0)
#error "nccl.h is older than 2.18: install a newer NCCL, or configure --with-nccl=no"
#endif

#define NCCL_OLDEST NCCL_VERSION(2, 18, 0)
#define NCCL_LIBRARY "libnccl.so.2"

_Static_assert(sizeof(ncclUniqueId) == sizeof(struct pfw_group_id),
	       "an id is NCCL's own");

struct nccl_library {
	void *handle;
	int version; /**< NCCL_VERSION() */
	ncclResult_t (*get_version)(int *version);
	ncclResult_t (*get_unique_id)(ncclUniqueId *id);
	ncclResult_t (*init)(ncclComm_t *comm, int ranks, ncclUniqueId id,
			     int rank, ncclConfig_t *config);
	ncclResult_t (*abort)(ncclComm_t comm);
	ncclResult_t (*async_error)(ncclComm_t comm, ncclResult_t *error);
	const char *(*error_string)(ncclResult_t result);
	const char *(*last_error)(ncclComm_t comm);
	ncclResult_t (*send)(const void *data, size_t count,
			     ncclDataType_t type, int peer, ncclComm_t comm,
			     cudaStream_t stream);
	ncclResult_t (*recv)(void *data, size_t count, ncclDataType_t type,
			     int peer, ncclComm_t comm, cudaStream_t stream);
	ncclResult_t (*all_reduce)(const void *in, void *out, size_t count,
				   ncclDataType_t type, ncclRedOp_t op,
				   ncclComm_t comm, cudaStream_t stream);
	ncclResult_t (*reduce_scatter)(const void *in, void *out, size_t count,
				       ncclDataType_t type, ncclRedOp_t op,
				       ncclComm_t comm, cudaStream_t stream);
	ncclResult_t (*all_gather)(const void *in, void *out, size_t count,
				   ncclDataType_t type, ncclComm_t comm,
				   cudaStream_t stream);
	/* 2.19 and newer, both or none: memory for, and the use of, transfers
	 * that copy nothing. */
	ncclResult_t (*alloc)(void **ptr, size_t bytes);
	ncclResult_t (*free)(void *ptr);
	ncclResult_t (*enlist)(const ncclComm_t comm, void *ptr, size_t bytes,
			       void **handle);
	ncclResult_t (*strike)(const ncclComm_t comm, void *handle);
};

/** @p name: as dlopen() takes it.  -ENODEV: what is missing, and what helps. */
int nccl_library_open(struct nccl_library *lib, const char *name,
		      struct pfw_error *err);

/** A new id, for one communicator. */
int nccl_library_id(const struct nccl_library *lib, ncclUniqueId *out,
		    struct pfw_error *err);

/** "2.28.9". */
void nccl_version_text(int version, char *buf, size_t len);

#endif
