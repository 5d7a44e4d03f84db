/*
 * GPT-2 cuts a text into pieces before it merges bytes:
 * 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 * (the pattern: openai/gpt-2, src/encoder.py).
 */
#include <string.h>

#include "base/utf8.h"
#include "data/bpe.h"
#include "data/unicode_table.h"

enum class {
	END, /* of the text */
	SPACE,
	LETTER,
	NUMBER,
	OTHER, /* also a byte that is not UTF-8 */
};

static int is_in(const uint32_t *turns, size_t n, uint32_t c)
{
	size_t from = 0, to = n; /* turns before `from` are <= c */

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (turns[mid] <= c)
			from = mid + 1;
		else
			to = mid;
	}
	return from & 1;
}

/** White_Space of Unicode. */
static int is_space(uint32_t c)
{
	return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 ||
	       c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
	       c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

static enum class classify(uint32_t c)
{
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')
		return LETTER;
	if (is_space(c))
		return SPACE;
	if (is_in(letter_turns, sizeof(letter_turns) / sizeof(letter_turns[0]), c))
		return LETTER;
	if (is_in(number_turns, sizeof(number_turns) / sizeof(number_turns[0]), c))
		return NUMBER;
	return OTHER;
}

/** The class of the character at @p at, whose bytes go to *n. */
static enum class class_at(const char *text, size_t len, size_t at, size_t *n)
{
	uint32_t c = 0;

	*n = 0;
	if (at == len)
		return END;
	*n = pfw_utf8_get(text + at, len - at, &c);
	if (*n)
		return classify(c);
	*n = 1;
	return OTHER;
}

/** Where the run of @p class that goes on at @p at ends. */
static size_t run_end(const char *text, size_t len, size_t at, enum class class)
{
	size_t n;

	while (class_at(text, len, at, &n) == class)
		at += n;
	return at;
}

static size_t contraction(const char *text, size_t len)
{
	static const char *const ends[] = { "s", "t", "re", "ve", "m", "ll", "d" };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		size_t n = strlen(ends[i]);

		if (len > n && text[0] == '\'' && !memcmp(text + 1, ends[i], n))
			return n + 1;
	}
	return 0;
}

/** All of a run of spaces but the last, unless the run is one or the end. */
static size_t spaces(const char *text, size_t len)
{
	size_t at = 0, last = 0, n;

	while (class_at(text, len, at, &n) == SPACE) {
		last = at;
		at += n;
	}
	return at == len || !last ? at : last;
}

size_t pfw_bpe_piece(const char *text, size_t len)
{
	size_t n = contraction(text, len), at;
	enum class class;

	if (n || !len)
		return n;
	at = text[0] == ' ';
	class = class_at(text, len, at, &n);
	if (class == SPACE || class == END)
		return spaces(text, len);
	return run_end(text, len, at, class);
}

/** Before ASCII white space that follows a visible ASCII character. */
size_t pfw_bpe_cut(const char *text, size_t len)
{
	for (size_t i = len; i-- > 1;)
		if ((text[i] == ' ' || text[i] == '\n') && text[i - 1] > 0x20 &&
		    text[i - 1] < 0x7f)
			return i;
	return 0;
}
