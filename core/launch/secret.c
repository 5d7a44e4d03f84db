#include "launch/secret.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static int default_path(char *out, size_t len, struct pfw_error *err)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	int n;

	if (config && *config == '/')
		n = snprintf(out, len, "%s/pipefw/secret", config);
	else if (home && *home == '/')
		n = snprintf(out, len, "%s/.config/pipefw/secret", home);
	else
		return pfw_error_set(err, ENOENT,
				     "which secret? HOME is not set: name the "
				     "file with --secret FILE");
	if ((size_t)n >= len)
		return pfw_error_set(err, ENAMETOOLONG, "%s: too long", out);
	return 0;
}

static int find(const char *path, char *out, size_t len, struct pfw_error *err)
{
	const char *env = getenv("PIPEFW_SECRET_FILE");

	if (!path && env && *env)
		path = env;
	if (!path)
		return default_path(out, len, err);
	if (strlen(path) >= len)
		return pfw_error_set(err, ENAMETOOLONG, "%s: too long", path);
	strcpy(out, path);
	return 0;
}

/* Only its owner may read it, and that is us. */
static int check_mode(int fd, const char *path, struct pfw_error *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return pfw_error_set(err, errno, "%s: %s", path,
				     strerror(errno));
	if (st.st_uid != geteuid())
		return pfw_error_set(err, EACCES,
				     "%s: belongs to user %u: the secret of a "
				     "run must be the user's own",
				     path, (unsigned)st.st_uid);
	if (st.st_mode & 077)
		return pfw_error_set(err, EACCES,
				     "%s: has mode %04o, and others may read or "
				     "change it: chmod 600 %s",
				     path, (unsigned)st.st_mode & 07777, path);
	return 0;
}

/* Ends of lines are no part of it: editors and copying add them. */
static int read_it(int fd, uint64_t bytes, struct pfw_secret *out,
		   struct pfw_error *err)
{
	int rc;

	if (bytes > sizeof(out->bytes))
		return pfw_error_set(err, EFBIG,
				     "%s: %llu bytes are no secret: at most %u",
				     out->path, (unsigned long long)bytes,
				     PFW_SECRET_MAX);
	rc = pfw_file_read(fd, out->path, out->bytes, (size_t)bytes, 0, err);
	if (rc)
		return rc;
	out->len = (size_t)bytes;
	while (out->len && isspace(out->bytes[out->len - 1]))
		out->len--;
	if (out->len < PFW_SECRET_MIN)
		return pfw_error_set(err, EINVAL,
				     "%s: a secret of %zu bytes can be guessed: "
				     "at least %u (head -c 32 /dev/urandom | "
				     "base64 > %s)",
				     out->path, out->len, PFW_SECRET_MIN,
				     out->path);
	return 0;
}

int pfw_secret_load(const char *path, struct pfw_secret *out,
		    struct pfw_error *err)
{
	uint64_t bytes;
	int fd, rc = find(path, out->path, sizeof(out->path), err);

	if (rc)
		return rc;
	if (access(out->path, F_OK))
		return pfw_error_set(
			err, errno,
			"%s: %s: the launchers of a run know each other by a "
			"secret; make one with (umask 077; head -c 32 "
			"/dev/urandom | base64 > %s), and bring it to every "
			"host of the run",
			out->path, strerror(errno), out->path);
	rc = pfw_file_open(out->path, &fd, &bytes, err);
	if (rc)
		return rc;
	rc = check_mode(fd, out->path, err);
	if (!rc)
		rc = read_it(fd, bytes, out, err);
	close(fd);
	return rc;
}
