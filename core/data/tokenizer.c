#include "data/tokenizer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "data/bpe.h"

struct pfw_tokenizer {
	const char *name;
	struct pfw_bpe *bpe; /**< NULL: a byte is a token */
	char bytes[256];     /**< each byte, for pfw_tokenizer_token() */
};

int pfw_tokenizer_open(const char *name, const char *dir,
		       struct pfw_tokenizer **out, struct pfw_error *err)
{
	struct pfw_tokenizer *tok;
	int rc;

	if (strcmp(name, "byte") && strcmp(name, "gpt2"))
		return pfw_error_set(err, EINVAL,
				     "tokenizer \"%s\": \"byte\" and \"gpt2\" are known",
				     name);
	tok = calloc(1, sizeof(*tok));
	if (!tok)
		return pfw_error_set(err, ENOMEM, "out of memory");
	tok->name = "byte";
	for (int i = 0; i < 256; i++)
		tok->bytes[i] = (char)i;
	if (!strcmp(name, "gpt2")) {
		tok->name = "gpt2";
		rc = pfw_bpe_open(dir, &tok->bpe, err);
		if (rc) {
			free(tok);
			return rc;
		}
	}
	*out = tok;
	return 0;
}

void pfw_tokenizer_close(struct pfw_tokenizer *tok)
{
	if (!tok)
		return;
	pfw_bpe_close(tok->bpe);
	free(tok);
}

uint32_t pfw_tokenizer_vocab(const struct pfw_tokenizer *tok)
{
	return tok->bpe ? pfw_bpe_vocab(tok->bpe) : 256;
}

const char *pfw_tokenizer_name(const struct pfw_tokenizer *tok)
{
	return tok->name;
}

static int encode_bytes(const char *text, size_t len, int32_t **out, size_t *n,
			struct pfw_error *err)
{
	int32_t *tokens = NULL;

	if (len < SIZE_MAX / sizeof(*tokens))
		tokens = malloc((len + !len) * sizeof(*tokens));
	if (!tokens)
		return pfw_error_set(err, ENOMEM, "no memory for %zu tokens", len);
	for (size_t i = 0; i < len; i++)
		tokens[i] = (unsigned char)text[i];
	*out = tokens;
	*n = len;
	return 0;
}

int pfw_tokenizer_encode(const struct pfw_tokenizer *tok, const char *text,
			 size_t len, int32_t **out, size_t *n,
			 struct pfw_error *err)
{
	if (!tok->bpe)
		return encode_bytes(text, len, out, n, err);
	return pfw_bpe_encode(tok->bpe, text, len, out, n, err);
}

size_t pfw_tokenizer_cut(const struct pfw_tokenizer *tok, const char *text,
			 size_t len)
{
	return tok->bpe ? pfw_bpe_cut(text, len) : len;
}

const char *pfw_tokenizer_token(const struct pfw_tokenizer *tok, int32_t token,
				size_t *len)
{
	if (tok->bpe)
		return pfw_bpe_token(tok->bpe, token, len);
	if (token < 0 || token > 255)
		return NULL;
	*len = 1;
	return &tok->bytes[token];
}
