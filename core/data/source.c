#include "data/source.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"

#define HEAD_BYTES 65536u
#define BLOCK_TOKENS 65536u
#define LLMC_HEADER 1024u

/** llm.c's headers: 256 int32, the first three magic, version, tokens. */
static const struct llmc_format {
	uint32_t magic, version, width;
} llmc_formats[] = {
	{ 20240520, 1, 2 }, /* GPT-2 */
	{ 20240801, 7, 4 }, /* LLaMA 3 */
};

static uint32_t get_u32(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

static const struct llmc_format *find_llmc(const unsigned char *head, size_t len)
{
	for (size_t i = 0; i < sizeof(llmc_formats) / sizeof(llmc_formats[0]); i++)
		if (len >= 4 && get_u32(head) == llmc_formats[i].magic)
			return &llmc_formats[i];
	return NULL;
}

static int open_llmc(struct pfw_source *src, const struct llmc_format *format,
		     const unsigned char *head, struct pfw_error *err)
{
	uint64_t want;

	src->format = "llm.c";
	src->width = format->width;
	src->header = LLMC_HEADER;
	if (src->bytes < LLMC_HEADER)
		return pfw_error_set(err, EINVAL,
				     "%s: has llm.c's magic number, but only %llu of its header's 1024 bytes",
				     src->path, (unsigned long long)src->bytes);
	if (get_u32(head + 4) != format->version)
		return pfw_error_set(err, EINVAL,
				     "%s: llm.c tokens of version %u, with magic %u only version %u is known",
				     src->path, get_u32(head + 4), format->magic,
				     format->version);
	src->tokens = get_u32(head + 8);
	want = LLMC_HEADER + src->tokens * src->width;
	if (src->bytes != want)
		return pfw_error_set(err, EINVAL,
				     "%s: its header tells of %llu tokens, which makes %llu bytes, but the file has %llu",
				     src->path, (unsigned long long)src->tokens,
				     (unsigned long long)want,
				     (unsigned long long)src->bytes);
	return 0;
}

static int open_nanogpt(struct pfw_source *src, struct pfw_error *err)
{
	src->format = "nanogpt";
	src->width = 2;
	src->tokens = src->bytes / 2;
	if (src->bytes % 2)
		return pfw_error_set(err, EINVAL,
				     "%s: has %llu bytes, but a .bin of 2-byte tokens has an even number (a text file must not be called .bin)",
				     src->path, (unsigned long long)src->bytes);
	return 0;
}

/** Bytes are their own tokens; for others the text is encoded once. */
static int open_text(struct pfw_source *src, const struct pfw_tokenizer *tok,
		     uint64_t counts[256], struct pfw_error *err)
{
	int encoded, rc;

	src->format = "text";
	if (!strcmp(pfw_tokenizer_name(tok), "byte")) {
		src->width = 1;
		src->tokens = src->bytes;
		return 0;
	}
	rc = pfw_source_encode(src->fd, src->path, src->bytes, tok, &encoded,
			       &src->width, &src->tokens, counts, err);
	if (rc)
		return rc;
	close(src->fd);
	src->fd = encoded;
	src->bytes = src->tokens * src->width;
	return 0;
}

/** Reads all tokens: those out of range are found now, not in step 1000. */
static int scan(const struct pfw_source *src, uint64_t counts[256],
		struct pfw_error *err)
{
	int32_t *block;
	int rc = 0;

	if (src->width > 1 && (uint64_t)src->vocab >> (8 * src->width))
		return 0; /* any number of this width will do */
	block = malloc(BLOCK_TOKENS * sizeof(*block));
	if (!block)
		return pfw_error_set(err, ENOMEM, "%s: out of memory", src->path);
	for (uint64_t at = 0; !rc && at < src->tokens; at += BLOCK_TOKENS) {
		uint64_t n = src->tokens - at;

		if (n > BLOCK_TOKENS)
			n = BLOCK_TOKENS;
		rc = pfw_source_read(src, at, n, block, err);
		for (uint64_t i = 0; !rc && src->width == 1 && i < n; i++)
			counts[block[i]]++;
	}
	free(block);
	return rc;
}

static double entropy(const uint64_t counts[256])
{
	uint64_t n = 0;
	double sum = 0;

	for (int i = 0; i < 256; i++)
		n += counts[i];
	for (int i = 0; i < 256; i++)
		if (counts[i])
			sum -= (double)counts[i] / (double)n *
			       log((double)counts[i] / (double)n);
	return sum;
}

static int has_suffix(const char *path, const char *suffix)
{
	size_t n = strlen(path), m = strlen(suffix);

	return n >= m && !strcmp(path + n - m, suffix);
}

/** Content first, then the name. */
static int open_format(struct pfw_source *src, const struct pfw_tokenizer *tok,
		       struct pfw_error *err)
{
	size_t len = src->bytes < HEAD_BYTES ? (size_t)src->bytes : HEAD_BYTES;
	unsigned char *head = malloc(HEAD_BYTES);
	const struct llmc_format *llmc;
	uint64_t counts[256] = { 0 };
	int rc;

	if (!head)
		return pfw_error_set(err, ENOMEM, "%s: out of memory", src->path);
	rc = pfw_file_read(src->fd, src->path, head, len, 0, err);
	if (rc)
		goto err_free;
	src->hash = pfw_hash(pfw_hash_u64(PFW_HASH_START, src->bytes), head, len);
	llmc = find_llmc(head, len);
	if (llmc)
		rc = open_llmc(src, llmc, head, err);
	else if (has_suffix(src->path, ".bin"))
		rc = open_nanogpt(src, err);
	else
		rc = open_text(src, tok, counts, err);
	if (rc)
		goto err_free;
	src->hash = pfw_hash(src->hash, src->format, strlen(src->format));
	rc = scan(src, counts, err);
	src->byte_entropy = strcmp(src->format, "text") ? NAN : entropy(counts);
err_free:
	free(head);
	return rc;
}

int pfw_source_open(struct pfw_source *src, const char *path,
		    const struct pfw_tokenizer *tok, uint32_t vocab,
		    struct pfw_error *err)
{
	int rc;

	*src = (struct pfw_source){ .fd = -1, .vocab = vocab };
	src->path = strdup(path);
	if (!src->path)
		return pfw_error_set(err, ENOMEM, "%s: out of memory", path);
	rc = pfw_file_open(path, &src->fd, &src->bytes, err);
	if (!rc)
		rc = open_format(src, tok, err);
	if (rc)
		pfw_source_close(src);
	return rc;
}

void pfw_source_close(struct pfw_source *src)
{
	if (src->fd >= 0)
		close(src->fd);
	free(src->path);
	src->fd = -1;
	src->path = NULL;
}

static int out_of_range(const struct pfw_source *src, uint64_t at,
			uint32_t token, struct pfw_error *err)
{
	if (src->width == 1)
		return pfw_error_set(err, ERANGE,
				     "%s: byte 0x%02x at position %llu is not below model.vocab = %u: bytes want 256",
				     src->path, token, (unsigned long long)at,
				     src->vocab);
	return pfw_error_set(err, ERANGE,
			     "%s: token %u at position %llu is not below model.vocab = %u",
			     src->path, token, (unsigned long long)at, src->vocab);
}

/** The numbers of a width as int32; gives the greatest. */
static uint32_t widen(const unsigned char *raw, uint32_t width, uint64_t n,
		      int32_t *out)
{
	uint32_t most = 0;

	for (uint64_t i = 0; i < n; i++, raw += width) {
		uint32_t token = raw[0];

		if (width == 2)
			token = (uint32_t)raw[0] | (uint32_t)raw[1] << 8;
		else if (width == 4)
			token = get_u32(raw);
		most = token > most ? token : most;
		out[i] = (int32_t)token;
	}
	return most;
}

int pfw_source_read(const struct pfw_source *src, uint64_t at, uint64_t n,
		    int32_t *out, struct pfw_error *err)
{
	/* Read into the end of out, then widened from its beginning. */
	unsigned char *raw = (unsigned char *)out + n * (4 - src->width);
	int rc = pfw_file_read(src->fd, src->path, raw, n * src->width,
			       src->header + at * src->width, err);

	if (rc || widen(raw, src->width, n, out) < src->vocab)
		return rc;
	while ((uint32_t)*out < src->vocab) {
		out++;
		at++;
	}
	return out_of_range(src, at, (uint32_t)*out, err);
}

int pfw_source_unchanged(const struct pfw_source *src, struct pfw_error *err)
{
	struct stat st;

	if (fstat(src->fd, &st))
		return pfw_error_set(err, errno, "%s: cannot look at it: %s",
				     src->path, strerror(errno));
	if ((uint64_t)st.st_size != src->bytes)
		return pfw_error_set(err, ESTALE,
				     "%s: had %llu bytes and has %lld now: it was changed while in use",
				     src->path, (unsigned long long)src->bytes,
				     (long long)st.st_size);
	return 0;
}
