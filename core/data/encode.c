/* A text's tokens in a file without a name, encoded once when it is opened. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "data/source.h"

#define BLOCK_BYTES ((size_t)1 << 20)

struct encoder {
	const struct pfw_tokenizer *tok;
	const char *path;
	int out;
	uint32_t width;
	uint64_t written; /**< tokens */
	char *text;       /**< not yet encoded */
	size_t len, room;
};

static int open_nameless(int *out, struct pfw_error *err)
{
	const char *dir = getenv("TMPDIR");
	char path[PATH_MAX];
	int rc, fd;

	rc = pfw_path_join(path, sizeof(path), dir && *dir ? dir : "/tmp",
			   "pipefw-tokens-XXXXXX", err);
	if (rc)
		return rc;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return pfw_error_set(err, errno,
				     "%s: cannot make a file for encoded tokens: %s (TMPDIR says where)",
				     path, strerror(errno));
	unlink(path);
	*out = fd;
	return 0;
}

/** Narrows the tokens in place, then writes them. */
static int put_tokens(struct encoder *e, int32_t *tokens, size_t n,
		      struct pfw_error *err)
{
	unsigned char *to = (unsigned char *)tokens;

	for (size_t i = 0; i < n; i++) {
		uint32_t token = (uint32_t)tokens[i];

		for (uint32_t b = 0; b < e->width; b++)
			*to++ = (unsigned char)(token >> (8 * b));
	}
	e->written += n;
	return pfw_file_write(e->out, "file for encoded tokens", tokens,
			      n * e->width, (e->written - n) * e->width, err);
}

/** Encodes the first @p n bytes that are kept, and forgets them. */
static int encode(struct encoder *e, size_t n, struct pfw_error *err)
{
	int32_t *tokens;
	size_t n_tokens;
	int rc = pfw_tokenizer_encode(e->tok, e->text, n, &tokens, &n_tokens, err);

	if (rc)
		return rc;
	rc = put_tokens(e, tokens, n_tokens, err);
	free(tokens);
	memmove(e->text, e->text + n, e->len - n);
	e->len -= n;
	return rc;
}

/** Room for a block more; a text without a place to cut makes it grow. */
static int make_room(struct encoder *e, struct pfw_error *err)
{
	size_t room = e->room ? e->room * 2 : 2 * BLOCK_BYTES;
	char *more;

	if (e->room - e->len >= BLOCK_BYTES)
		return 0;
	more = realloc(e->text, room);
	if (!more)
		return pfw_error_set(err, ENOMEM, "%s: out of memory", e->path);
	e->text = more;
	e->room = room;
	return 0;
}

static int encode_all(struct encoder *e, int fd, uint64_t bytes,
		      uint64_t counts[256], struct pfw_error *err)
{
	for (uint64_t at = 0; at < bytes;) {
		size_t n = bytes - at < BLOCK_BYTES ? (size_t)(bytes - at) :
						      BLOCK_BYTES;
		int rc = make_room(e, err);

		if (!rc)
			rc = pfw_file_read(fd, e->path, e->text + e->len, n, at,
					   err);
		if (rc)
			return rc;
		for (size_t i = 0; i < n; i++)
			counts[(unsigned char)e->text[e->len + i]]++;
		e->len += n;
		at += n;
		n = at < bytes ? pfw_tokenizer_cut(e->tok, e->text, e->len) :
				 e->len;
		if (n)
			rc = encode(e, n, err);
		if (rc)
			return rc;
	}
	return 0;
}

int pfw_source_encode(int fd, const char *path, uint64_t bytes,
		      const struct pfw_tokenizer *tok, int *encoded,
		      uint32_t *width, uint64_t *tokens, uint64_t counts[256],
		      struct pfw_error *err)
{
	struct encoder e = {
		.tok = tok, .path = path,
		.width = pfw_tokenizer_vocab(tok) > 65536 ? 4 : 2,
	};
	int rc = open_nameless(&e.out, err);

	if (rc)
		return rc;
	rc = encode_all(&e, fd, bytes, counts, err);
	free(e.text);
	if (rc) {
		close(e.out);
		return rc;
	}
	*encoded = e.out;
	*width = e.width;
	*tokens = e.written;
	return 0;
}
