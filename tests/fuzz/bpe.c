/*
 * Fuzz target: vocab.json, merges.txt and a text, NUL bytes between them.  Where
 * the files are taken, the text's tokens decode to the text.
 */
#include <pipefw/base.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/tokenizer.h"
#include "fuzz/fuzz.h"

static void broken(const char *what)
{
	fprintf(stderr, "fuzz: %s\n", what);
	abort();
}

/** In the working folder, where main.c leaves a crash too. */
static void put(const char *name, const char *text, size_t len)
{
	FILE *f = fopen(name, "wb");

	if (!f || fwrite(text, 1, len, f) != len || fclose(f))
		broken(name);
}

static void round_trip(const struct pfw_tokenizer *tok, const char *text,
		       size_t len)
{
	size_t n, size, at = 0;
	int32_t *tokens;

	if (pfw_tokenizer_encode(tok, text, len, &tokens, &n, NULL))
		return;
	for (size_t i = 0; i < n; i++) {
		const char *bytes = pfw_tokenizer_token(tok, tokens[i], &size);

		if (!bytes || size > len - at || memcmp(text + at, bytes, size) != 0)
			broken("another text after decoding");
		at += size;
	}
	if (at != len)
		broken("a shorter text after decoding");
	free(tokens);
}

/** In memory of just that size: reading beyond it is seen. */
static void encode_exact(const struct pfw_tokenizer *tok, const char *text,
			 size_t len)
{
	char *copy = malloc(len + !len);

	if (copy) {
		memcpy(copy, text, len);
		round_trip(tok, copy, len);
	}
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *all = (const char *)data, *merges, *text;
	struct pfw_error err = { 0 };
	struct pfw_tokenizer *tok;

	merges = size ? memchr(all, 0, size) : NULL;
	if (!merges)
		return 0;
	merges++;
	text = memchr(merges, 0, size - (size_t)(merges - all));
	if (!text)
		return 0;
	text++;
	put("vocab.json", all, (size_t)(merges - all) - 1);
	put("merges.txt", merges, (size_t)(text - merges) - 1);
	if (!pfw_tokenizer_open("gpt2", ".", &tok, &err)) {
		encode_exact(tok, text, size - (size_t)(text - all));
		pfw_tokenizer_close(tok);
	} else if (!*err.text || !err.code) {
		broken("refused without a word");
	}
	return 0;
}
