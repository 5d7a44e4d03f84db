/*
 * tokenizer.h: text to tokens and back: bytes, or GPT-2's byte-pair encoding.
 */
#ifndef PFW_CORE_TOKENIZER_H
#define PFW_CORE_TOKENIZER_H

#include <pipefw/base.h>

struct pfw_tokenizer;

/**
 * @p name "byte" (vocabulary 256; @p dir unused) or "gpt2" (vocab.json and
 * merges.txt in @p dir).
 */
int pfw_tokenizer_open(const char *name, const char *dir,
		       struct pfw_tokenizer **out, struct pfw_error *err);
void pfw_tokenizer_close(struct pfw_tokenizer *tok);
uint32_t pfw_tokenizer_vocab(const struct pfw_tokenizer *tok);
const char *pfw_tokenizer_name(const struct pfw_tokenizer *tok);

/** *out is the caller's to free(). */
int pfw_tokenizer_encode(const struct pfw_tokenizer *tok, const char *text,
			 size_t len, int32_t **out, size_t *n,
			 struct pfw_error *err);
/**
 * Where a longer text may be cut so that the parts encode as the whole does:
 * at or before @p len; 0: nowhere.  For texts read in blocks.
 */
size_t pfw_tokenizer_cut(const struct pfw_tokenizer *tok, const char *text,
			 size_t len);
/** The bytes of one token, owned by the tokenizer; NULL: no such token. */
const char *pfw_tokenizer_token(const struct pfw_tokenizer *tok, int32_t token,
				size_t *len);

#endif
