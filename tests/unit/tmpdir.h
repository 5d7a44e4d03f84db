/*
 * tmpdir.h: a folder of the test's own, and files in it.
 */
#ifndef PFW_TESTS_TMPDIR_H
#define PFW_TESTS_TMPDIR_H

#include <CUnit/CUnit.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/** Of this test, made by tmp_make(). */
static char tmp_dir[PATH_MAX];

static int tmp_remove_one(const char *path, const struct stat *st, int type,
			  struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (type == FTW_D || type == FTW_DNR)
		chmod(path, 0700);
	return remove(path);
}

static inline void tmp_make(void)
{
	const char *base = getenv("TMPDIR");

	snprintf(tmp_dir, sizeof(tmp_dir), "%s/pipefw-test-XXXXXX",
		 base ? base : "/tmp");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(tmp_dir));
}

static inline void tmp_remove(void)
{
	nftw(tmp_dir, tmp_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/** The path of @p name in the folder; good until the fourth call after. */
static inline const char *tmp_path(const char *name)
{
	static char paths[4][PATH_MAX + 256];
	static unsigned turn;
	char *path = paths[turn++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", tmp_dir, name);
	return path;
}

static inline const char *tmp_write(const char *name, const void *data,
				    size_t len)
{
	const char *path = tmp_path(name);
	FILE *f = fopen(path, "wb");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL_FATAL(fwrite(data, 1, len, f), len);
	CU_ASSERT_EQUAL_FATAL(fclose(f), 0);
	return path;
}

#endif
