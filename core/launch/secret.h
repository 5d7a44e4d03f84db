/*
 * secret.h: what the launchers of a run know and strangers do not.
 */
#ifndef PFW_CORE_SECRET_H
#define PFW_CORE_SECRET_H

#include <limits.h>
#include <pipefw/base.h>

#define PFW_SECRET_MIN 32u
#define PFW_SECRET_MAX 4096u

struct pfw_secret {
	size_t len;
	uint8_t bytes[PFW_SECRET_MAX];
	char path[PATH_MAX];
};

/**
 * Reads @p path; where NULL the file that PIPEFW_SECRET_FILE names, else
 * pipefw/secret in the user's configuration folder.  A file that others may read
 * is refused, and one that is too short.
 */
int pfw_secret_load(const char *path, struct pfw_secret *out,
		    struct pfw_error *err);

#endif
