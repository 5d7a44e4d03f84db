/*
 * bpe.h: GPT-2's byte-pair encoding.
 */
#ifndef PFW_CORE_BPE_H
#define PFW_CORE_BPE_H

#include <pipefw/base.h>

struct pfw_bpe;

/** From vocab.json and merges.txt in @p dir. */
int pfw_bpe_open(const char *dir, struct pfw_bpe **out, struct pfw_error *err);
void pfw_bpe_close(struct pfw_bpe *bpe);
uint32_t pfw_bpe_vocab(const struct pfw_bpe *bpe);
int pfw_bpe_encode(const struct pfw_bpe *bpe, const char *text, size_t len,
		   int32_t **out, size_t *n, struct pfw_error *err);
const char *pfw_bpe_token(const struct pfw_bpe *bpe, int32_t token, size_t *len);

/**
 * The next piece of the text that merges stay within: its bytes, at least 1
 * where @p len is.
 */
size_t pfw_bpe_piece(const char *text, size_t len);
/** The last place at or before @p len where a piece begins for sure, or 0. */
size_t pfw_bpe_cut(const char *text, size_t len);

#endif
