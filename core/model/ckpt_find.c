/* Which checkpoint of a run is whole. */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "model/ckpt.h"

static int check_size(const char *path, uint32_t file, uint64_t bytes,
		      struct pfw_error *err)
{
	char full[PATH_MAX];
	struct stat st;
	int rc;

	rc = pfw_path_join(full, sizeof(full), path, pfw_ckpt_file(file), err);
	if (rc)
		return rc;
	if (stat(full, &st))
		return pfw_error_set(err, errno, "%s: cannot find it: %s", full,
				     strerror(errno));
	if ((uint64_t)st.st_size != bytes)
		return pfw_error_set(err, EINVAL,
				     "%s: has %lld bytes, state.json tells of %llu",
				     full, (long long)st.st_size,
				     (unsigned long long)bytes);
	return 0;
}

static int check_tensors(const char *path, uint32_t file, struct pfw_error *err)
{
	struct pfw_st_reader *reader;
	char full[PATH_MAX];
	int rc;

	rc = pfw_path_join(full, sizeof(full), path, pfw_ckpt_file(file), err);
	if (!rc)
		rc = pfw_st_open(full, &reader, err);
	if (!rc)
		pfw_st_close(reader);
	return rc;
}

int pfw_ckpt_check(const char *path, struct pfw_ckpt_state *state,
		   struct pfw_error *err)
{
	struct pfw_ckpt_state s = { 0 };
	char full[PATH_MAX];
	int rc;

	rc = pfw_path_join(full, sizeof(full), path, "state/state.json", err);
	if (!rc)
		rc = pfw_ckpt_state_read(full, &s, err);
	for (uint32_t i = 0; !rc && i < PFW_CKPT_FILES; i++)
		rc = check_size(path, i, s.bytes[i], err);
	if (!rc)
		rc = check_tensors(path, PFW_CKPT_WEIGHTS, err);
	if (!rc)
		rc = check_tensors(path, PFW_CKPT_MOMENTS, err);
	if (!rc)
		rc = pfw_ckpt_sums_check(path, err);
	if (!rc)
		*state = s;
	return rc;
}

static int try_step(const char *run_dir, uint64_t step, char path[PATH_MAX],
		    struct pfw_ckpt_state *state, struct pfw_error *err)
{
	int rc = pfw_ckpt_path(path, run_dir, step, "", err);

	return rc ? rc : pfw_ckpt_check(path, state, err);
}

/** The newest whole one besides @p latest, which failed with @p why. */
static int find_other(const char *run_dir, const uint64_t *latest,
		      const struct pfw_error *why, char path[PATH_MAX],
		      struct pfw_ckpt_state *state, char *note, size_t note_len,
		      struct pfw_error *err)
{
	uint64_t *steps;
	size_t n;
	int rc = pfw_ckpt_list(run_dir, &steps, &n, err);

	if (rc)
		return rc;
	rc = -ENOENT;
	for (size_t i = 0; i < n && rc; i++) {
		if (latest && steps[i] == *latest)
			continue;
		rc = try_step(run_dir, steps[i], path, state, NULL);
		if (!rc)
			snprintf(note, note_len,
				 "%s: the latest checkpoint cannot be read (%s): going back to step %llu",
				 run_dir, why->text,
				 (unsigned long long)steps[i]);
	}
	free(steps);
	if (rc)
		pfw_error_set(err, why->code, "%s: no checkpoint can be read: %s",
			      run_dir, why->text);
	return rc ? -why->code : 0;
}

/** Not the checkpoint's fault: another would be read no better. */
static int is_ours(int rc)
{
	return rc == -ENOMEM || rc == -EMFILE || rc == -ENFILE;
}

int pfw_ckpt_find(const char *run_dir, char path[PATH_MAX],
		  struct pfw_ckpt_state *state, char *note, size_t note_len,
		  struct pfw_error *err)
{
	struct pfw_error why;
	uint64_t latest;
	int rc;

	if (!pfw_ckpt_latest(run_dir, &latest)) {
		pfw_error_set(&why, ENOENT, "latest points to none");
		return find_other(run_dir, NULL, &why, path, state, note,
				  note_len, err);
	}
	rc = try_step(run_dir, latest, path, state, &why);
	if (is_ours(rc))
		return pfw_error_set(err, -rc, "%s", why.text);
	if (rc)
		return find_other(run_dir, &latest, &why, path, state, note,
				  note_len, err);
	note[0] = '\0';
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	remove(path);
	return 0;
}

void pfw_ckpt_remove(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
