#include "bench/room.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/registry.h"

#define REMOVE_PATIENCE 120.0

int pfw_bench_room_open(struct pfw_bench_room *room, struct pfw_error *err)
{
	const char *tmp = getenv("TMPDIR");
	int rc = pfw_bench_signals_take(&room->stop, &room->was, err);

	if (rc)
		return rc;
	snprintf(room->dir, sizeof(room->dir), "%s/pipefw-bench-XXXXXX",
		 tmp && *tmp ? tmp : "/tmp");
	if (mkdtemp(room->dir))
		return 0;
	rc = pfw_error_set(err, errno, "%s: %s", room->dir, strerror(errno));
	pfw_bench_signals_give_back(room->stop, &room->was);
	return rc;
}

void pfw_bench_room_close(struct pfw_bench_room *room)
{
	const char *argv[] = { "rm", "-rf", room->dir, NULL };
	struct pfw_bench_child rm;
	char line[16];

	if (!pfw_bench_child_start(&rm, argv, -1, NULL)) {
		pfw_bench_child_line(&rm, REMOVE_PATIENCE, line, sizeof(line));
		pfw_bench_child_end(&rm);
	}
	pfw_bench_signals_give_back(room->stop, &room->was);
}

int pfw_bench_find(const char *name, char *path, size_t len, char *why,
		   size_t why_len)
{
	const char *dir = getenv("PIPEFW_BENCH_DIR");
	char built[PATH_MAX];

	snprintf(path, len, "%s/%s", dir && *dir ? dir : PFW_BENCH_PATH, name);
	if (!access(path, R_OK))
		return 0;
	if (!dir && pfw_build_dir(built, sizeof(built)))
		snprintf(why, why_len, "not installed: make bench, or %.150s/run "
			 "pipefw bench", built);
	else
		snprintf(why, why_len, "no file %.200s", path);
	return -ENOENT;
}
