#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(struct pfw_error *err, const char *path, const char *what)
{
	int code = errno;

	return pfw_error_set(err, code, "%s: cannot %s: %s", path, what,
			     strerror(code));
}

int pfw_file_open(const char *path, int *out, uint64_t *bytes,
		  struct pfw_error *err)
{
	/* Without O_NONBLOCK, a FIFO that nobody writes to would wait. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int rc;

	if (fd < 0)
		return fail(err, path, "open it");
	if (fstat(fd, &st))
		rc = fail(err, path, "look at it");
	else if (S_ISDIR(st.st_mode))
		rc = pfw_error_set(err, EISDIR,
				   "%s: is a folder where a file is wanted", path);
	else if (!S_ISREG(st.st_mode))
		rc = pfw_error_set(err, EINVAL,
				   "%s: is not a regular file", path);
	else
		rc = 0;
	if (rc) {
		close(fd);
		return rc;
	}
	*out = fd;
	if (bytes)
		*bytes = (uint64_t)st.st_size;
	return 0;
}

int pfw_file_read(int fd, const char *path, void *buf, size_t n, uint64_t at,
		  struct pfw_error *err)
{
	char *to = buf;

	while (n) {
		ssize_t got = pread(fd, to, n, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail(err, path, "read it");
		if (!got)
			return pfw_error_set(err, ENODATA,
					     "%s: ends at byte %llu, %zu more were to come: it was cut short",
					     path, (unsigned long long)at, n);
		to += got;
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

int pfw_file_load(const char *path, size_t max, char **out, size_t *len,
		  struct pfw_error *err)
{
	uint64_t bytes;
	char *text;
	int fd, rc;

	rc = pfw_file_open(path, &fd, &bytes, err);
	if (rc)
		return rc;
	if (bytes > max) {
		rc = pfw_error_set(err, EFBIG,
				   "%s: has %llu bytes, at most %zu are taken",
				   path, (unsigned long long)bytes, max);
		goto err_close;
	}
	text = malloc((size_t)bytes + 1);
	if (!text) {
		rc = pfw_error_set(err, ENOMEM, "%s: no memory for its %llu bytes",
				   path, (unsigned long long)bytes);
		goto err_close;
	}
	rc = pfw_file_read(fd, path, text, (size_t)bytes, 0, err);
	if (rc) {
		free(text);
		goto err_close;
	}
	close(fd);
	text[bytes] = '\0';
	*out = text;
	*len = (size_t)bytes;
	return 0;

err_close:
	close(fd);
	return rc;
}

int pfw_file_write(int fd, const char *path, const void *buf, size_t n,
		   uint64_t at, struct pfw_error *err)
{
	const char *from = buf;

	while (n) {
		ssize_t put = pwrite(fd, from, n, (off_t)at);

		if (put < 0 && errno == EINTR)
			continue;
		if (!put)
			errno = ENOSPC;
		if (put <= 0)
			return fail(err, path, "write it");
		from += put;
		at += (uint64_t)put;
		n -= (size_t)put;
	}
	return 0;
}

int pfw_file_push(int fd, const char *path, struct pfw_error *err)
{
	const unsigned all = SYNC_FILE_RANGE_WAIT_BEFORE |
			     SYNC_FILE_RANGE_WRITE |
			     SYNC_FILE_RANGE_WAIT_AFTER;

	/* What a file system or kernel does not have, fsync makes up for. */
	if (sync_file_range(fd, 0, 0, all) && errno != ENOSYS &&
	    errno != EINVAL && errno != ESPIPE)
		return fail(err, path, "write it");
	return 0;
}

int pfw_file_finish(int fd, const char *path, struct pfw_error *err)
{
	int rc = 0;

	/* After a failed fsync a second one may lie: this is final. */
	if (fsync(fd))
		rc = fail(err, path, "bring it to the disk");
	if (close(fd) && !rc && errno != EINTR)
		rc = fail(err, path, "close it");
	return rc;
}

int pfw_file_create(const char *path, const void *buf, size_t n,
		    struct pfw_error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	int rc;

	if (fd < 0)
		return fail(err, path, "make it");
	rc = pfw_file_write(fd, path, buf, n, 0, err);
	if (rc) {
		close(fd);
		return rc;
	}
	return pfw_file_finish(fd, path, err);
}

int pfw_file_sync_dir(const char *path, struct pfw_error *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = 0;

	if (fd < 0)
		return fail(err, path, "open the folder");
	/* Some file systems have no fsync for folders and say EINVAL. */
	if (fsync(fd) && errno != EINVAL)
		rc = fail(err, path, "bring the folder to the disk");
	close(fd);
	return rc;
}

/** fsync of the folder that @p path is in. */
static int sync_parent(const char *path, struct pfw_error *err)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX];

	if (!slash)
		return pfw_file_sync_dir(".", err);
	snprintf(dir, sizeof(dir), "%.*s", slash == path ? 1 : (int)(slash - path),
		 path);
	return pfw_file_sync_dir(dir, err);
}

int pfw_file_rename(const char *from, const char *to, struct pfw_error *err)
{
	if (rename(from, to))
		return fail(err, to, "give it its name");
	return sync_parent(to, err);
}

int pfw_file_replace(const char *path, const void *buf, size_t n,
		     struct pfw_error *err)
{
	char tmp[PATH_MAX];
	int rc;

	if (snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= (int)sizeof(tmp))
		return pfw_error_set(err, ENAMETOOLONG, "%s: path too long", path);
	unlink(tmp); /* of a run that was killed */
	rc = pfw_file_create(tmp, buf, n, err);
	if (!rc)
		rc = pfw_file_rename(tmp, path, err);
	if (rc)
		unlink(tmp);
	return rc;
}

int pfw_path_join(char *out, size_t len, const char *dir, const char *name,
		  struct pfw_error *err)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", dir, name);

	if (n < 0 || (size_t)n >= sizeof(path) || (size_t)n >= len)
		return pfw_error_set(err, ENAMETOOLONG, "%s/%s: path too long",
				     dir, name);
	memcpy(out, path, (size_t)n + 1);
	return 0;
}
