/*
 * fuzz.h: a fuzz target, as libFuzzer calls it; main.c calls it too, with random
 * changes of the corpus, where there is no clang.
 */
#ifndef PFW_TESTS_FUZZ_H
#define PFW_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
