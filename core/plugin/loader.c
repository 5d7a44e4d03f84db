/* From a path to a checked plugin: may the file be trusted, is it whole, what
 * does it export. */
#include "plugin/loader.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin/elf.h"

/*
 * Others may write to it: the world, or a group of more than its owner (a group
 * with its owner's number is the owner's own, as most distributions make them).
 */
static int others_write(const struct stat *st)
{
	if (st->st_mode & S_IWOTH)
		return 1;
	return (st->st_mode & S_IWGRP) && st->st_gid != st->st_uid;
}

static int is_ours(const struct stat *st)
{
	return st->st_uid == 0 || st->st_uid == geteuid();
}

/* Whoever may rename files in the folder can put another in the plugin's
 * place; with the sticky bit only a file's owner can. */
static int check_folder(const char *path, struct pfw_error *err)
{
	char dir[PATH_MAX];
	struct stat st;

	strcpy(dir, path);
	*strrchr(dir, '/') = '\0';
	if (stat(*dir ? dir : "/", &st))
		return pfw_error_set(err, errno, "%s: %s: %s", path, dir,
				     strerror(errno));
	if (others_write(&st) && !(st.st_mode & S_ISVTX) &&
	    (st.st_mode & S_IWOTH || st.st_uid != geteuid()))
		return pfw_error_set(err, EPERM, "%s: others may write to its "
				     "folder; chmod go-w %s", path, dir);
	return 0;
}

static int check_file(int fd, const char *path, struct pfw_error *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return pfw_error_set(err, errno, "%s: %s", path,
				     strerror(errno));
	if (!S_ISREG(st.st_mode))
		return pfw_error_set(err, EINVAL, "%s: not a regular file",
				     path);
	if (!is_ours(&st))
		return pfw_error_set(err, EPERM, "%s: belongs to user %u; a "
				     "plugin must be root's or your own", path,
				     (unsigned)st.st_uid);
	if (others_write(&st))
		return pfw_error_set(err, EPERM, "%s: others may write to it; "
				     "chmod go-w %s", path, path);
	return pfw_elf_check(fd, (uint64_t)st.st_size, path, err);
}

/* O_NONBLOCK: a FIFO of that name must not hold us up. */
static int check_path(const char *path, struct pfw_error *err)
{
	int fd, rc;

	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
		  O_CLOEXEC);
	if (fd < 0)
		return pfw_error_set(err, errno, "%s: %s", path,
				     strerror(errno));
	rc = check_folder(path, err);
	if (!rc)
		rc = check_file(fd, path, err);
	close(fd);
	return rc;
}

/*
 * By path, not by /proc/self/fd/N: the C library knows modules by the name they
 * were opened with and would take the next file on the same number for this
 * one.  check_folder() keeps the path from changing under us.
 */
static int open_module(const char *path, const struct pfw_plugin **out,
		       struct pfw_error *err)
{
	const struct pfw_plugin *plugin;
	const char *words;
	void *module;

	module = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!module) {
		words = dlerror();
		/* They begin with the path, most of the time. */
		if (words && !strncmp(words, path, strlen(path)))
			return pfw_error_set(err, ENOEXEC, "%s", words);
		return pfw_error_set(err, ENOEXEC, "%s: %s", path,
				     words ? words : "cannot be loaded");
	}
	plugin = dlsym(module, "pfw_plugin");
	if (!plugin)
		return pfw_error_set(err, ENOEXEC, "%s: not a pipefw plugin (no "
				     "symbol pfw_plugin)", path);
	*out = plugin;
	return 0;
}

int pfw_plugin_load(const char *path, uint32_t kind, const char *name,
		    struct pfw_loaded **out, struct pfw_error *err)
{
	const struct pfw_plugin *theirs = NULL;
	struct pfw_loaded *loaded;
	int rc;

	loaded = calloc(1, sizeof(*loaded));
	if (!loaded)
		return pfw_error_set(err, ENOMEM, "%s: out of memory", path);
	/* Installed plugins may be links: what they lead to is checked. */
	loaded->path = realpath(path, NULL);
	if (!loaded->path)
		rc = pfw_error_set(err, errno, "%s: %s", path, strerror(errno));
	else
		rc = check_path(loaded->path, err);
	if (!rc)
		rc = open_module(loaded->path, &theirs, err);
	if (!rc)
		rc = pfw_descriptor_copy(theirs, loaded->path, kind, name,
					 loaded, err);
	if (rc)
		pfw_plugin_unload(loaded);
	else
		*out = loaded;
	return rc;
}

void pfw_plugin_unload(struct pfw_loaded *loaded)
{
	if (!loaded)
		return;
	free((void *)(uintptr_t)loaded->info.options);
	free(loaded->path);
	free(loaded);
}
