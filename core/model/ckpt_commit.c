/* A checkpoint gets its name; others go. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "model/ckpt.h"

#ifndef RENAME_EXCHANGE /* as in linux/fs.h; not every libc's stdio.h has it */
#define RENAME_EXCHANGE 2u
#endif

/** Out of sight first: a folder half removed must not be taken for a whole. */
static void retire(const char *path)
{
	char gone[PATH_MAX];

	if (snprintf(gone, sizeof(gone), "%s.del", path) >= (int)sizeof(gone))
		return;
	pfw_ckpt_remove(gone);
	if (!rename(path, gone))
		pfw_ckpt_remove(gone);
}

/**
 * Names the new folder.  Where one of an earlier run has the name, the two
 * change places in one step, so that a whole one is there at any time; a file
 * system that cannot do that has none for a moment.
 */
static int take_name(const char *tmp, const char *path, struct pfw_error *err)
{
	if (!access(path, F_OK)) {
		if (syscall(SYS_renameat2, AT_FDCWD, tmp, AT_FDCWD, path,
			    RENAME_EXCHANGE)) {
			retire(path);
		} else {
			retire(tmp);
			return 0;
		}
	}
	return pfw_file_rename(tmp, path, err);
}

static int sync_folders(const char *tmp, struct pfw_error *err)
{
	static const char *const inside[] = { "model", "state", "." };
	char path[PATH_MAX];
	int rc = 0;

	for (int i = 0; i < 3 && !rc; i++) {
		rc = pfw_path_join(path, sizeof(path), tmp, inside[i], err);
		if (!rc)
			rc = pfw_file_sync_dir(path, err);
	}
	return rc;
}

/** RUN/NAME -> @p target, where it is not there yet. */
static int make_link(const char *run_dir, const char *name, const char *target,
		     struct pfw_error *err)
{
	char path[PATH_MAX];
	int rc = pfw_path_join(path, sizeof(path), run_dir, name, err);

	if (!rc && symlink(target, path) && errno != EEXIST)
		rc = pfw_error_set(err, errno, "%s: cannot make the link: %s",
				   path, strerror(errno));
	return rc;
}

static int point_latest(const char *run_dir, uint64_t step,
			struct pfw_error *err)
{
	char target[64], link[PATH_MAX], tmp[PATH_MAX];
	int rc = pfw_path_join(link, sizeof(link), run_dir, "latest", err);

	if (!rc)
		rc = pfw_path_join(tmp, sizeof(tmp), run_dir, "latest.tmp", err);
	if (rc)
		return rc;
	unlink(tmp);
	snprintf(target, sizeof(target), "checkpoints/step-%llu",
		 (unsigned long long)step);
	rc = make_link(run_dir, "latest.tmp", target, err);
	return rc ? rc : pfw_file_rename(tmp, link, err);
}

static int is_whole(const char *run_dir, uint64_t step)
{
	struct pfw_ckpt_state state;
	char path[PATH_MAX];

	return !pfw_ckpt_path(path, run_dir, step, "", NULL) &&
	       !pfw_ckpt_check(path, &state, NULL);
}

/**
 * Keeps @p step and a whole one besides: @p before, or the newest.  Where none
 * is known to be whole, nothing is removed.
 */
static void prune(const char *run_dir, uint64_t step, const uint64_t *before)
{
	uint64_t *steps, keep = step;
	char path[PATH_MAX];
	size_t n;

	if (pfw_ckpt_list(run_dir, &steps, &n, NULL))
		return;
	if (before && is_whole(run_dir, *before))
		keep = *before;
	for (size_t i = 0; i < n && keep == step; i++)
		if (steps[i] != step && is_whole(run_dir, steps[i]))
			keep = steps[i];
	for (size_t i = 0; i < n && keep != step; i++)
		if (steps[i] != step && steps[i] != keep &&
		    !pfw_ckpt_path(path, run_dir, steps[i], "", NULL))
			retire(path);
	free(steps);
}

int pfw_checkpoint_commit(const char *run_dir, uint64_t step,
			  struct pfw_error *err)
{
	char tmp[PATH_MAX], path[PATH_MAX];
	uint64_t before;
	int rc, had;

	rc = pfw_ckpt_path(tmp, run_dir, step, ".tmp", err);
	if (!rc)
		rc = pfw_ckpt_path(path, run_dir, step, "", err);
	if (!rc)
		rc = sync_folders(tmp, err);
	if (!rc)
		rc = take_name(tmp, path, err);
	if (!rc)
		rc = make_link(run_dir, "model", "latest/model", err);
	if (!rc)
		rc = make_link(run_dir, "state", "latest/state", err);
	if (rc)
		return rc;
	had = pfw_ckpt_latest(run_dir, &before);
	rc = point_latest(run_dir, step, err);
	if (!rc)
		prune(run_dir, step, had ? &before : NULL);
	return rc;
}

static int is_left_over(const char *name)
{
	uint64_t step;
	char copy[64];
	size_t n = strlen(name);

	if (n < 4 || n >= sizeof(copy) ||
	    (strcmp(name + n - 4, ".tmp") && strcmp(name + n - 4, ".del")))
		return 0;
	snprintf(copy, sizeof(copy), "%.*s", (int)(n - 4), name);
	return pfw_ckpt_step(copy, &step);
}

void pfw_checkpoint_sweep(const char *run_dir)
{
	char folder[PATH_MAX], path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	if (!pfw_path_join(path, sizeof(path), run_dir, "latest.tmp", NULL))
		unlink(path);
	if (pfw_path_join(folder, sizeof(folder), run_dir, "checkpoints", NULL))
		return;
	dir = opendir(folder);
	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (is_left_over(entry->d_name) &&
		    !pfw_path_join(path, sizeof(path), folder, entry->d_name, NULL))
			pfw_ckpt_remove(path);
	closedir(dir);
}

void pfw_checkpoint_clear(const char *run_dir)
{
	static const char *const links[] = { "latest", "latest.tmp", "model",
					     "state" };
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (!pfw_path_join(path, sizeof(path), run_dir, links[i], NULL))
			unlink(path);
	if (!pfw_path_join(path, sizeof(path), run_dir, "checkpoints", NULL))
		pfw_ckpt_remove(path);
}
