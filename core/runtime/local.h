/*
 * local.h: the edge from a rank to itself, as a transport of one channel: what
 * one chunk sends, the next finds in the same memory.
 */
#ifndef PFW_CORE_LOCAL_H
#define PFW_CORE_LOCAL_H

#include <pipefw/transport.h>

extern const struct pfw_transport_ops pfw_local_ops;

/** @p memory: n_slots * slot_bytes, borrowed. */
int pfw_local_open(const struct pfw_channel_info *info, void *memory,
		   void **channel, struct pfw_error *err);

#endif
