/* vocab.json and merges.txt as GPT-2 has them, trusted in nothing. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/quoted.h"
#include "base/utf8.h"
#include "data/bpe_impl.h"

#define MAX_FILE ((size_t)64 << 20)
#define ALPHABET_END 0x144 /* 68 bytes are not visible */

/** What is only needed while the files are read. */
struct loading {
	struct pfw_bpe *bpe;
	char vocab_path[PATH_MAX], merges_path[PATH_MAX];
	const struct pfw_json *vocab; /**< token text to number */
	uint32_t char_of[256];
	int16_t byte_of[ALPHABET_END]; /**< < 0: of none */
	struct pfw_error *err;
};

/**
 * The files write each byte as a visible character: itself where it is one in
 * Latin-1, else the next free one from U+0100 on.
 */
static void make_alphabet(struct loading *l)
{
	uint32_t next = 0x100;

	for (int i = 0; i < ALPHABET_END; i++)
		l->byte_of[i] = -1;
	for (int byte = 0; byte < 256; byte++) {
		int visible = (byte > 0x20 && byte < 0x7f) ||
			      (byte > 0xa0 && byte != 0xad);

		l->char_of[byte] = visible ? (uint32_t)byte : next++;
		l->byte_of[l->char_of[byte]] = (int16_t)byte;
	}
}

/** A token's bytes; one with other characters (a special one) is as it is. */
static size_t decode(const struct loading *l, const char *text, size_t len,
		     char *out)
{
	size_t n = 0;
	uint32_t c = 0;

	for (size_t at = 0; at < len; n++) {
		at += pfw_utf8_get(text + at, len - at, &c);
		if (c >= ALPHABET_END || l->byte_of[c] < 0) {
			memcpy(out, text, len);
			return len;
		}
		out[n] = (char)l->byte_of[c];
	}
	return n;
}

struct pfw_bpe_merge *pfw_bpe_slot(const struct pfw_bpe *bpe, int32_t left,
				   int32_t right)
{
	uint64_t x = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
	struct pfw_bpe_merge *m;

	x *= 0x9e3779b97f4a7c15ull;
	for (uint32_t i = (uint32_t)(x >> 32);; i++) {
		m = &bpe->merges[i & bpe->mask];
		if (m->left < 0 || (m->left == left && m->right == right))
			return m;
	}
}

const struct pfw_bpe_merge *pfw_bpe_find(const struct pfw_bpe *bpe,
					 int32_t left, int32_t right)
{
	const struct pfw_bpe_merge *m = pfw_bpe_slot(bpe, left, right);

	return m->left < 0 ? NULL : m;
}

/** The values of vocab.json are a permutation of 0, 1, ...: by[i] has i. */
static int order_tokens(struct loading *l, const struct pfw_json **by)
{
	uint32_t n = l->bpe->vocab;
	uint64_t id;

	for (const struct pfw_json *m = pfw_json_first(l->vocab); m;
	     m = pfw_json_next(l->vocab, m)) {
		if (pfw_json_u64(m, &id) || id >= n)
			return pfw_error_set(l->err, EINVAL,
					     "%s:%u: token %s has number %.40s, with %u tokens it is one of 0 to %u",
					     l->vocab_path, pfw_json_line(m),
					     pfw_quote(pfw_json_name(m)).text,
					     pfw_json_kind(m) == PFW_JSON_NUMBER ?
						     pfw_json_text(m) :
						     pfw_json_kind_text(m),
					     n, n - 1);
		if (by[id])
			return pfw_error_set(l->err, EINVAL,
					     "%s:%u: tokens %s and %s have the same number %u",
					     l->vocab_path, pfw_json_line(m),
					     pfw_quote(pfw_json_name(by[id])).text,
					     pfw_quote(pfw_json_name(m)).text,
					     (uint32_t)id);
		by[id] = m;
	}
	return 0;
}

static int store_tokens(struct loading *l, const struct pfw_json **by,
			size_t text_len)
{
	struct pfw_bpe *bpe = l->bpe;

	bpe->bytes = malloc(text_len);
	bpe->starts = calloc((size_t)bpe->vocab + 1, sizeof(*bpe->starts));
	if (!bpe->bytes || !bpe->starts)
		return pfw_error_set(l->err, ENOMEM, "%s: out of memory",
				     l->vocab_path);
	for (uint32_t i = 0; i < bpe->vocab; i++) {
		const char *text = pfw_json_name(by[i]);
		size_t n = decode(l, text, strlen(text),
				  bpe->bytes + bpe->starts[i]);

		bpe->starts[i + 1] = bpe->starts[i] + (uint32_t)n;
	}
	return 0;
}

/** The number of the token @p text, or -1. */
static int32_t token_id(const struct loading *l, const char *text)
{
	uint64_t id;

	return pfw_json_u64(pfw_json_get(l->vocab, text), &id) ? -1 : (int32_t)id;
}

static int find_bytes(struct loading *l)
{
	for (int i = 0; i < 256; i++) {
		char text[5] = "";

		pfw_utf8_put(l->char_of[i], text);
		l->bpe->byte_ids[i] = token_id(l, text);
		if (l->bpe->byte_ids[i] < 0)
			return pfw_error_set(l->err, EINVAL,
					     "%s: no token for byte 0x%02x (\"%s\"): not every text could be encoded",
					     l->vocab_path, i, text);
	}
	return 0;
}

static int read_vocab(struct loading *l, size_t text_len)
{
	const struct pfw_json **by;
	size_t n = pfw_json_count(l->vocab);
	int rc;

	if (pfw_json_kind(l->vocab) != PFW_JSON_OBJECT || !n)
		return pfw_error_set(l->err, EINVAL,
				     "%s: is %s, not an object of tokens and their numbers",
				     l->vocab_path, n ? pfw_json_kind_text(l->vocab) :
						    "empty");
	l->bpe->vocab = (uint32_t)n;
	by = calloc(n, sizeof(*by));
	if (!by)
		return pfw_error_set(l->err, ENOMEM, "%s: out of memory",
				     l->vocab_path);
	rc = order_tokens(l, by);
	if (!rc)
		rc = store_tokens(l, by, text_len);
	if (!rc)
		rc = find_bytes(l);
	free(by);
	return rc;
}

/** A line "LEFT RIGHT"; it is taken apart. */
static int add_merge(struct loading *l, char *line, size_t number, uint32_t rank)
{
	char *space = strchr(line, ' ');
	struct pfw_bpe_merge merge = { .rank = rank }, *slot;

	if (!space || space == line || !space[1] || strchr(space + 1, ' '))
		return pfw_error_set(l->err, EINVAL,
				     "%s:%zu: found %s where two tokens with one space between them belong",
				     l->merges_path, number, pfw_quote(line).text);
	*space = '\0';
	merge.left = token_id(l, line);
	merge.right = token_id(l, space + 1);
	if (merge.left < 0 || merge.right < 0)
		return pfw_error_set(l->err, EINVAL,
				     "%s:%zu: token %s is not in vocab.json",
				     l->merges_path, number,
				     pfw_quote(merge.left < 0 ? line :
							 space + 1).text);
	memmove(space, space + 1, strlen(space + 1) + 1);
	merge.merged = token_id(l, line);
	if (merge.merged < 0)
		return pfw_error_set(l->err, EINVAL,
				     "%s:%zu: what it merges to, %s, is not in vocab.json",
				     l->merges_path, number, pfw_quote(line).text);
	slot = pfw_bpe_slot(l->bpe, merge.left, merge.right);
	if (slot->left >= 0)
		return pfw_error_set(l->err, EINVAL,
				     "%s:%zu: the same merge is already the %u-th",
				     l->merges_path, number, slot->rank + 1);
	*slot = merge;
	return 0;
}

/** An empty table with twice the places that the lines can need. */
static int make_table(struct loading *l, const char *text)
{
	struct pfw_bpe *bpe = l->bpe;
	size_t lines = 1, size = 4;

	for (const char *p = text; (p = strchr(p, '\n')); p++)
		lines++;
	while (size < 2 * lines)
		size *= 2;
	bpe->merges = calloc(size, sizeof(*bpe->merges));
	if (!bpe->merges)
		return pfw_error_set(l->err, ENOMEM, "%s: out of memory",
				     l->merges_path);
	bpe->mask = (uint32_t)(size - 1);
	for (size_t i = 0; i < size; i++)
		bpe->merges[i].left = -1;
	return 0;
}

static int read_merges(struct loading *l, char *text, size_t len)
{
	size_t number = 0;
	uint32_t rank = 0;
	int rc;

	if (strlen(text) != len)
		return pfw_error_set(l->err, EINVAL,
				     "%s: has a NUL byte: it is not a text",
				     l->merges_path);
	rc = make_table(l, text);
	while (!rc && *text) {
		char *end = text + strcspn(text, "\n");
		char *next = end + (*end == '\n');

		if (end > text && end[-1] == '\r')
			end--;
		*end = '\0';
		number++;
		if (*text && !(number == 1 && !strncmp(text, "#version", 8)))
			rc = add_merge(l, text, number, rank++);
		text = next;
	}
	return rc;
}

static int load(struct loading *l)
{
	struct pfw_json_doc *doc;
	char *text, *merges;
	size_t len;
	int rc;

	rc = pfw_file_load(l->vocab_path, MAX_FILE, &text, &len, l->err);
	if (rc)
		return rc;
	rc = pfw_json_parse(text, len, &doc, l->err);
	free(text);
	if (rc) {
		pfw_error_prefix(l->err, "%s: ", l->vocab_path);
		return rc;
	}
	l->vocab = pfw_json_root(doc);
	rc = read_vocab(l, len);
	if (!rc)
		rc = pfw_file_load(l->merges_path, MAX_FILE, &merges, &len,
				   l->err);
	if (!rc) {
		rc = read_merges(l, merges, len);
		free(merges);
	}
	pfw_json_free(doc);
	return rc;
}

int pfw_bpe_open(const char *dir, struct pfw_bpe **out, struct pfw_error *err)
{
	struct loading l = { .err = err };
	int rc;

	rc = pfw_path_join(l.vocab_path, PATH_MAX, dir, "vocab.json", err);
	if (!rc)
		rc = pfw_path_join(l.merges_path, PATH_MAX, dir, "merges.txt", err);
	if (rc)
		return rc;
	make_alphabet(&l);
	l.bpe = calloc(1, sizeof(*l.bpe));
	if (!l.bpe)
		return pfw_error_set(err, ENOMEM, "out of memory");
	rc = load(&l);
	if (rc) {
		pfw_bpe_close(l.bpe);
		return rc;
	}
	*out = l.bpe;
	return 0;
}

void pfw_bpe_close(struct pfw_bpe *bpe)
{
	if (!bpe)
		return;
	free(bpe->merges);
	free(bpe->starts);
	free(bpe->bytes);
	free(bpe);
}
