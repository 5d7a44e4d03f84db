/*
 * plain.h: the kernels of device.h as their comments say them, in fp32 with
 * sums in fp64: no blocking, no fusion, nothing to get wrong.
 */
#ifndef PFW_TESTS_PLAIN_H
#define PFW_TESTS_PLAIN_H

#include <pipefw/device.h>

/** The queue is not looked at. */
extern const struct pfw_device plain_device;

#endif
