/*
 * nearest.h: "did you mean".
 */
#ifndef PFW_CORE_NEAREST_H
#define PFW_CORE_NEAREST_H

#include <stddef.h>

/**
 * The one of @p n words that @p word was probably meant to be (fewest letters
 * added, left out, changed or swapped with their neighbour), the first of
 * equals; NULL if none is near: more than a third of its letters are wrong.
 */
const char *pfw_nearest(const char *word, const char *const *words, size_t n);

#endif
