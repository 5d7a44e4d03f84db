/*
 * room.h: a folder for the time of a bench, gone however it ends.
 */
#ifndef PFW_CORE_BENCH_ROOM_H
#define PFW_CORE_BENCH_ROOM_H

#include <limits.h>

#include "bench/child.h"

struct pfw_bench_room {
	char dir[PATH_MAX - 64];
	int stop; /**< readable: the user wants an end */
	sigset_t was;
};

/** On failure there is nothing to close. */
int pfw_bench_room_open(struct pfw_bench_room *room, struct pfw_error *err);
void pfw_bench_room_close(struct pfw_bench_room *room);

/** Where a peer's program lies: in $PIPEFW_BENCH_DIR, or where it was
 *  installed.  0, or -ENOENT and why. */
int pfw_bench_find(const char *name, char *path, size_t len, char *why,
		   size_t why_len);

#endif
