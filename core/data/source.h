/*
 * source.h: a file of tokens, whatever its format, read at any position.
 */
#ifndef PFW_CORE_SOURCE_H
#define PFW_CORE_SOURCE_H

#include "data/tokenizer.h"

struct pfw_source {
	char *path;         /**< as it was given, for sentences */
	const char *format; /**< "text", "nanogpt", "llm.c" */
	int fd;             /**< of the file, or of our own encoded copy */
	uint32_t width;     /**< bytes of a token: 1, 2 or 4, little-endian */
	uint32_t vocab;     /**< every token is below */
	uint64_t header;    /**< bytes before the first token */
	uint64_t bytes;     /**< size when it was opened */
	uint64_t tokens;
	uint64_t hash;      /**< of format, size and the first 64 KiB */
	double byte_entropy; /**< nats; NaN where the file is not text */
};

/** Tells the format, checks the size, reads every token once. */
int pfw_source_open(struct pfw_source *src, const char *path,
		    const struct pfw_tokenizer *tok, uint32_t vocab,
		    struct pfw_error *err);
void pfw_source_close(struct pfw_source *src);
/** Tokens [at, at + n), in range. */
int pfw_source_read(const struct pfw_source *src, uint64_t at, uint64_t n,
		    int32_t *out, struct pfw_error *err);
/** -ESTALE: the file is no longer of the size it had. */
int pfw_source_unchanged(const struct pfw_source *src, struct pfw_error *err);

/**
 * The text of @p fd (@p bytes long) through @p tok into a file of our own that
 * has no name: in *encoded, its tokens *width bytes each.  @p counts are of the
 * text's bytes.
 */
int pfw_source_encode(int fd, const char *path, uint64_t bytes,
		      const struct pfw_tokenizer *tok, int *encoded,
		      uint32_t *width, uint64_t *tokens, uint64_t counts[256],
		      struct pfw_error *err);

#endif
