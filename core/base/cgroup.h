/*
 * cgroup.h: what a container, or a service, lets this process have.
 */
#ifndef PFW_CORE_CGROUP_H
#define PFW_CORE_CGROUP_H

#include <stdint.h>
#include <stdio.h>

/** The least that @p read finds in this file of our control group (version 2)
 *  and of those above it; UINT64_MAX: no limit. */
uint64_t pfw_cgroup_least(const char *file, uint64_t (*read)(FILE *f));

#endif
