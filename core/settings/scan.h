/*
 * scan.h: what has to be refused before libconfig sees a text.
 */
#ifndef PFW_CORE_SCAN_H
#define PFW_CORE_SCAN_H

#include <pipefw/base.h>

/**
 * Bytes that are not UTF-8 or are NUL, a byte order mark, @include, deep
 * nesting, and literals that libconfig would wrap or cut without a word.
 * The sentence begins "PATH:LINE: ".
 */
int pfw_config_scan(const char *text, size_t len, const char *path,
		    struct pfw_error *err);

#endif
