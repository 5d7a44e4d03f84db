/* words.h: a text that must have a part, and a file with a secret. */
#ifndef PFW_TESTS_LAUNCH_WORDS_H
#define PFW_TESTS_LAUNCH_WORDS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Says what was there in its place. */
static inline int contains(const char *text, const char *part)
{
	if (strstr(text, part))
		return 1;
	fprintf(stderr, "no \"%s\" in \"%s\"\n", part, text);
	return 0;
}

static inline void write_secret(const char *path, const char *text, mode_t mode)
{
	FILE *f = fopen(path, "w");

	if (!f)
		exit(99);
	fputs(text, f);
	fclose(f);
	chmod(path, mode);
}

#endif
