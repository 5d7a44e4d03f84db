/*
 * literal.h: a text from a command line, or a default, read as a value.
 */
#ifndef PFW_CORE_LITERAL_H
#define PFW_CORE_LITERAL_H

#include "settings/values.h"

#define PFW_LITERAL_LIST_MAX 1024u
#define PFW_LITERAL_STRING_MAX 4096u

/**
 * Reads @p text as libconfig would, except that a string needs no quotes:
 * integers in decimal or 0x form, with or without L; numbers; true and false;
 * lists as "[a, b]" or "a b".  0, or -EINVAL if it is not of @p type
 * (PFW_OPT_*).  @p out points into @p list or @p string.
 */
int pfw_literal_read(const char *text, uint32_t type, struct pfw_literal *out,
		     double list[PFW_LITERAL_LIST_MAX],
		     char string[PFW_LITERAL_STRING_MAX]);

#endif
