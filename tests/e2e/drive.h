/*
 * drive.h: pipefw run as a process of its own, watched from outside.
 */
#ifndef PFW_TESTS_DRIVE_H
#define PFW_TESTS_DRIVE_H

#include <stddef.h>
#include <sys/types.h>

#define DRIVE_MAX_RANKS 16u

struct drive {
	pid_t launcher;
	int out;               /**< its stdout */
	pid_t members[DRIVE_MAX_RANKS]; /**< its children, by age */
	size_t n_members;
	int status;            /**< exit status, 128 + n: signal n */
	char last[16384];      /**< the last whole line of stdout */
	char buf[65536];
	size_t len;
	unsigned lines;
};

/** Does pipefw run as it is?  0, and why not on stdout, where it does not. */
int drive_can(void);
/** A folder of the test's own, with a text and a config in it. */
void drive_open(void);
void drive_close(void);
/** Its path, good until the fourth call after. */
const char *drive_path(const char *name);
/** `pipefw run tiny.cfg --json --out out ARG...`, @p args ends with NULL. */
void drive_start(struct drive *d, const char *const *args);
/** Reads until a line with this event has come; 0: none came. */
int drive_event(struct drive *d, const char *event);
/** Its processes, once there are @p n; 0: there never were. */
int drive_find_members(struct drive *d, size_t n);
/** Until it and all it started are gone: seconds since @p from; < 0: never. */
double drive_end(struct drive *d, double from);
/** What it has said on stderr so far; good until the next call. */
const char *drive_stderr(void);
/** drive_stderr(), once it holds @p text; 0: it never did. */
int drive_says(const char *text);
/** Runs to its end, status given. */
int drive_run(const char *const *args);

double drive_now(void); /**< s */
/** How much longer things may take as others use the cores, too: >= 1. */
double drive_slack(void);

#endif
