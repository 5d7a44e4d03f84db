/*
 * available.h: how much memory this machine, or the group that we run in, can
 * still give.
 */
#ifndef PFW_CORE_AVAILABLE_H
#define PFW_CORE_AVAILABLE_H

#include <stdint.h>

/** Bytes without swapping; UINT64_MAX where nobody says. */
uint64_t pfw_available_bytes(void);

#endif
