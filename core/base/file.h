/*
 * file.h: whole reads and writes (EINTR and short counts are gone on with),
 * and files that are there whole or not at all.
 *
 * Every sentence begins with the path.
 */
#ifndef PFW_CORE_FILE_H
#define PFW_CORE_FILE_H

#include <pipefw/base.h>

/**
 * Opens a regular file for reading; anything else (a folder, a FIFO, a device)
 * is refused without waiting.  @p bytes: its size; may be NULL.
 */
int pfw_file_open(const char *path, int *fd, uint64_t *bytes,
		  struct pfw_error *err);
/** All of [@p at, @p at + @p n); -ENODATA: the file ends before. */
int pfw_file_read(int fd, const char *path, void *buf, size_t n, uint64_t at,
		  struct pfw_error *err);
/** A whole file of at most @p max bytes; *out (the caller's to free) ends in a NUL. */
int pfw_file_load(const char *path, size_t max, char **out, size_t *len,
		  struct pfw_error *err);

int pfw_file_write(int fd, const char *path, const void *buf, size_t n,
		   uint64_t at, struct pfw_error *err);
/**
 * Waits until what was written so far is on its way to the disk's own memory:
 * no promise yet, but little is left for pfw_file_finish() to wait for.
 */
int pfw_file_push(int fd, const char *path, struct pfw_error *err);
/** fsync and close; @p fd is closed in any case. */
int pfw_file_finish(int fd, const char *path, struct pfw_error *err);
/** A new file (-EEXIST: it is there), written, fsynced, closed. */
int pfw_file_create(const char *path, const void *buf, size_t n,
		    struct pfw_error *err);
/** Makes the names in a folder last. */
int pfw_file_sync_dir(const char *path, struct pfw_error *err);
/** rename(), then fsync of the folder that @p to is in. */
int pfw_file_rename(const char *from, const char *to, struct pfw_error *err);
/** The old text or the new one, never less: a file beside it, then rename. */
int pfw_file_replace(const char *path, const void *buf, size_t n,
		     struct pfw_error *err);

/** "DIR/NAME"; -ENAMETOOLONG with a sentence. */
int pfw_path_join(char *out, size_t len, const char *dir, const char *name,
		  struct pfw_error *err);

#endif
