#include "cli/run_dir.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "model/checkpoint.h"
#include "runtime/planned.h"
#include "schedule/csv.h"

/* As large as the reader of schedules takes them. */
#define SCHEDULE_MAX (1u << 30)

/* What a run's schedule is called in its folder, where a file gave it. */
static const char schedule_name[] = "schedule.csv";

static int make_parents(const char *dir, struct pfw_error *err)
{
	char path[PATH_MAX];
	size_t n = strlen(dir);

	if (n >= sizeof(path))
		return pfw_error_set(err, ENAMETOOLONG, "%s: too long", dir);
	memcpy(path, dir, n + 1);
	for (char *at = path + 1; (at = strchr(at, '/')); at++) {
		*at = 0;
		if (mkdir(path, 0777) && errno != EEXIST)
			return pfw_error_set(err, errno,
					     "%s: cannot make this folder: %s",
					     path, strerror(errno));
		*at = '/';
	}
	return 0;
}

/* trace/rank-N.tsv, and the folder where nothing else is in it. */
static void remove_trace(const char *dir)
{
	char path[PATH_MAX], name[48];

	for (uint32_t r = 0;; r++) {
		snprintf(name, sizeof(name), "trace/rank-%u.tsv", r);
		if (pfw_path_join(path, sizeof(path), dir, name, NULL) ||
		    unlink(path))
			break;
	}
	if (!pfw_path_join(path, sizeof(path), dir, "trace", NULL))
		rmdir(path);
}

/* What a run leaves; anything else stays. */
static int remove_run(const char *dir, struct pfw_error *err)
{
	static const char *const names[] = { "events.jsonl", "config.cfg" };
	char path[PATH_MAX];

	pfw_checkpoint_clear(dir);
	remove_trace(dir);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int rc = pfw_path_join(path, sizeof(path), dir, names[i], err);

		if (rc)
			return rc;
		if (unlink(path) && errno != ENOENT)
			return pfw_error_set(err, errno,
					     "%s: cannot remove it: %s", path,
					     strerror(errno));
	}
	return 0;
}

static int is_empty(const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	int n = 0;

	if (!d)
		return 0;
	while ((e = readdir(d)))
		n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
	closedir(d);
	return !n;
}

static int is_run(const char *dir)
{
	char path[PATH_MAX];
	struct stat st;

	return !pfw_path_join(path, sizeof(path), dir, "config.cfg", NULL) &&
	       !stat(path, &st);
}

int pfw_run_dir_make(const char *dir, int overwrite, int resuming,
		     struct pfw_error *err)
{
	int rc = make_parents(dir, err);

	if (rc)
		return rc;
	if (!mkdir(dir, 0777) || resuming)
		return 0;
	if (errno != EEXIST)
		return pfw_error_set(err, errno,
				     "%s: cannot make this folder: %s", dir,
				     strerror(errno));
	if (!overwrite)
		return pfw_error_set(err, EEXIST,
				     "%s: is there already: choose another "
				     "folder with --out DIR, or replace what is "
				     "in it with --overwrite",
				     dir);
	if (!is_run(dir) && !is_empty(dir))
		return pfw_error_set(err, EEXIST,
				     "%s: is no run's folder (it holds no "
				     "config.cfg) and is left alone: choose "
				     "another with --out DIR",
				     dir);
	return remove_run(dir, err);
}

int pfw_run_dir_spares(const char *dir, const char *key, const char *path,
		       struct pfw_error *err)
{
	char a[PATH_MAX], b[PATH_MAX];
	size_t n;

	if (!path || !realpath(dir, a) || !realpath(path, b))
		return 0;
	n = strlen(a);
	if (strncmp(a, b, n) || (b[n] && b[n] != '/'))
		return 0;
	return pfw_error_set(err, EEXIST, "%s: --overwrite would remove what %s "
			     "= \"%s\" is to be read from: choose another "
			     "folder with --out DIR", dir, key, path);
}

/* What was planned for costs, as a file of it has it. */
static int plan_text(const struct pfw_config *cfg, const struct pfw_costs *costs,
		     char **text, size_t *len, struct pfw_error *err)
{
	struct pfw_schedule_plan *plan;
	FILE *to;
	int rc = pfw_config_plan(cfg, costs, &plan, err);

	if (rc)
		return rc;
	*text = NULL;
	to = open_memstream(text, len);
	if (to)
		rc = pfw_csv_write(plan, 1, to, err);
	pfw_schedule_plan_free(plan);
	if (to && !fclose(to) && !rc)
		return 0;
	free(*text);
	return rc ? rc : pfw_error_set(err, ENOMEM, "out of memory");
}

/* The folder says by itself what ran; the file may be its own already. */
static int keep_schedule(const char *dir, const struct pfw_config *cfg,
			 const struct pfw_costs *costs, struct pfw_error *err)
{
	char path[PATH_MAX], *text;
	size_t len;
	int rc = pfw_path_join(path, sizeof(path), dir, schedule_name, err);

	if (rc)
		return rc;
	if (cfg->schedule_file)
		rc = pfw_file_load(cfg->schedule_file, SCHEDULE_MAX, &text,
				   &len, err);
	else if (costs)
		rc = plan_text(cfg, costs, &text, &len, err);
	else if (unlink(path) && errno != ENOENT)
		return pfw_error_set(err, errno, "%s: cannot remove it: %s",
				     path, strerror(errno));
	else
		return 0;
	if (rc)
		return rc;
	rc = pfw_file_replace(path, text, len, err);
	free(text);
	return rc;
}

/* @p planned: schedule.csv has the schedule. */
static int keep_config(const char *dir, const struct pfw_config *cfg,
		       int planned, struct pfw_error *err)
{
	struct pfw_config kept = *cfg;
	char path[PATH_MAX], name[sizeof(schedule_name)];
	FILE *f;
	int rc = pfw_path_join(path, sizeof(path), dir, "config.cfg", err);

	if (rc)
		return rc;
	memcpy(name, schedule_name, sizeof(name));
	if (planned)
		kept.schedule_file = name;
	f = fopen(path, "we");
	if (!f)
		return pfw_error_set(err, errno, "%s: %s", path,
				     strerror(errno));
	rc = pfw_config_write(&kept, f, err);
	if (fclose(f) && !rc)
		rc = pfw_error_set(err, errno, "%s: %s", path,
				   strerror(errno));
	return rc;
}

int pfw_run_dir_fill(const char *dir, const struct pfw_config *cfg,
		     const struct pfw_costs *costs, FILE **log,
		     struct pfw_error *err)
{
	char path[PATH_MAX];
	int rc = keep_schedule(dir, cfg, costs, err);

	if (!rc)
		rc = keep_config(dir, cfg, cfg->schedule_file || costs, err);
	if (!rc)
		rc = pfw_path_join(path, sizeof(path), dir, "events.jsonl",
				   err);
	if (rc)
		return rc;
	*log = fopen(path, "ae");
	if (!*log)
		return pfw_error_set(err, errno, "%s: %s", path,
				     strerror(errno));
	return 0;
}
