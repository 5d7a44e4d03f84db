#include "unit.h"

#include <errno.h>

#include "base/utf8.h"
#include "data/bpe.h"
#include "data/source.h"
#include "data/tokenizer.h"
#include "tmpdir.h"

static struct pfw_error err;

/** The characters that stand for bytes: 0x21 to 0x7e first, as in GPT-2. */
static uint32_t char_of(int byte)
{
	uint32_t c = 0x100;

	for (int b = 0; b <= 255; b++) {
		int visible = (b >= 0x21 && b <= 0x7e) ||
			      (b >= 0xa1 && b <= 0xac) || b >= 0xae;

		if (b == byte)
			return visible ? (uint32_t)b : c;
		c += !visible;
	}
	return 0;
}

/* Byte b has number b, then these; "G" with a dot above is the space. */
static const char *const merged[] = {
	"he", "ll", "hell", "hello", "\xc4\xa0h", "\xc4\xa0hello", "aa", "ab",
	"abab", "\xc3\x83\xc2\xa9",
};
static const char merges[] =
	"#version: 0.2\n"
	"h e\nl l\nhe ll\nhell o\n\xc4\xa0 h\n\xc4\xa0 hello\na a\na b\nab ab\r\n"
	"\xc3\x83 \xc2\xa9\n";

#define N_MERGED (sizeof(merged) / sizeof(merged[0]))

static void write_vocab(const char *more)
{
	static char json[16384];
	size_t n = (size_t)sprintf(json, "{");

	for (int i = 0; i < 256; i++) {
		char c[5] = "";

		pfw_utf8_put(char_of(i), c);
		n += (size_t)sprintf(json + n, "%s\"%s%s\": %d", i ? ", " : "",
				     i == '"' || i == '\\' ? "\\" : "", c, i);
	}
	for (size_t i = 0; i < N_MERGED; i++)
		n += (size_t)sprintf(json + n, ", \"%s\": %zu", merged[i],
				     256 + i);
	n += (size_t)sprintf(json + n, "%s}", more);
	tmp_write("vocab.json", json, n);
}

static struct pfw_tokenizer *open_gpt2(void)
{
	struct pfw_tokenizer *tok = NULL;

	write_vocab(", \"<|end|>\": 266");
	tmp_write("merges.txt", merges, strlen(merges));
	CU_ASSERT_FATAL(!pfw_tokenizer_open("gpt2", tmp_dir, &tok, &err));
	return tok;
}

/** Tokens as numbers with spaces between, after decoding them back. */
static const char *encode(const struct pfw_tokenizer *tok, const char *text,
			  size_t len)
{
	static char out[512];
	char back[512];
	size_t n, size, at = 0, used = 0;
	int32_t *tokens;

	CU_ASSERT_FATAL(!pfw_tokenizer_encode(tok, text, len, &tokens, &n, NULL));
	out[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		const char *bytes = pfw_tokenizer_token(tok, tokens[i], &size);

		CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
		memcpy(back + at, bytes, size);
		at += size;
		used += (size_t)sprintf(out + used, "%s%d", i ? " " : "",
					tokens[i]);
	}
	CU_ASSERT(at == len && !memcmp(back, text, len));
	free(tokens);
	return out;
}

#define ENCODE(text) encode(tok, text, sizeof(text) - 1)

static void bytes(void)
{
	struct pfw_tokenizer *tok;
	size_t len;

	CU_ASSERT_FATAL(!pfw_tokenizer_open("byte", NULL, &tok, NULL));
	CU_ASSERT_STRING_EQUAL(pfw_tokenizer_name(tok), "byte");
	CU_ASSERT_EQUAL(pfw_tokenizer_vocab(tok), 256);
	CU_ASSERT_STRING_EQUAL(ENCODE("a\0\xff"), "97 0 255");
	CU_ASSERT_STRING_EQUAL(ENCODE(""), "");
	CU_ASSERT_PTR_NULL(pfw_tokenizer_token(tok, 256, &len));
	CU_ASSERT_PTR_NULL(pfw_tokenizer_token(tok, -1, &len));
	pfw_tokenizer_close(tok);
	CU_ASSERT_EQUAL(pfw_tokenizer_open("bpe", NULL, &tok, &err), -EINVAL);
	CU_ASSERT_STRING_EQUAL(err.text, "tokenizer \"bpe\": \"byte\" and \"gpt2\" are known");
}

static void merging(void)
{
	struct pfw_tokenizer *tok;
	size_t len;

	tmp_make();
	tok = open_gpt2();
	CU_ASSERT_STRING_EQUAL(pfw_tokenizer_name(tok), "gpt2");
	CU_ASSERT_EQUAL(pfw_tokenizer_vocab(tok), 267);
	CU_ASSERT_STRING_EQUAL(ENCODE("hello"), "259");
	CU_ASSERT_STRING_EQUAL(ENCODE("hello hello"), "259 261");
	CU_ASSERT_STRING_EQUAL(ENCODE(" h"), "260");
	CU_ASSERT_STRING_EQUAL(ENCODE("helo"), "256 108 111");
	/* equal ranks: from the left */
	CU_ASSERT_STRING_EQUAL(ENCODE("aaa"), "262 97");
	CU_ASSERT_STRING_EQUAL(ENCODE("aaab"), "262 263");
	CU_ASSERT_STRING_EQUAL(ENCODE("ababab"), "264 263");
	CU_ASSERT_STRING_EQUAL(ENCODE("a b"), "97 32 98");
	CU_ASSERT_STRING_EQUAL(ENCODE("\xc3\xa9"), "265");
	/* not UTF-8: bytes all the same */
	CU_ASSERT_STRING_EQUAL(ENCODE("\xff\x80h\xc3"), "255 128 104 195");
	CU_ASSERT_STRING_EQUAL(ENCODE("\0"), "0");
	CU_ASSERT_STRING_EQUAL(ENCODE(""), "");
	CU_ASSERT_EQUAL(memcmp(pfw_tokenizer_token(tok, 266, &len), "<|end|>", 7), 0);
	CU_ASSERT_EQUAL(len, 7);
	CU_ASSERT_PTR_NULL(pfw_tokenizer_token(tok, 267, &len));
	pfw_tokenizer_close(tok);
	tmp_remove();
}

/** The text with a bar between its pieces. */
static const char *pieces(const char *text)
{
	static char out[256];
	size_t len = strlen(text), used = 0;

	for (size_t at = 0; at < len;) {
		size_t n = pfw_bpe_piece(text + at, len - at);

		used += (size_t)sprintf(out + used, "%s%.*s", at ? "|" : "",
					(int)n, text + at);
		at += n;
	}
	return out;
}

static void pretokens(void)
{
	static const char *const want[] = {
		"Hello| world|!", "it|'s| they|'ll| I|'ve|'d|'m|'re|n|'t",
		"it|'|S| '|s", "a|1|b| 22|c", "x|  | y", "x|\n|\n|y", "x| |\n|y",
		"a| ", "a|   ", "  | a", "!?| ...|a", "\t|\t|a", " \t|\t|a",
		/* letters and numbers beyond ASCII, spaces too */
		"\xc3\xa9t\xc3\xa9|\xc2\xb2|\xe2\x82\xac",
		"\xe4\xb8\xad\xe6\x96\x87|\xe3\x80\x82",
		"a|\xc2\xa0|b", "a|\xe3\x80\x80| b", "\xd9\xa3\xd9\xa4| \xd9\xa3",
		"e|\xcc\x81", /* a combining accent is neither */
	};

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		char text[64];
		size_t n = 0;

		for (const char *p = want[i]; *p; p++)
			if (*p != '|')
				text[n++] = *p;
		text[n] = '\0';
		CU_ASSERT_STRING_EQUAL(pieces(text), want[i]);
	}
}

/** Wherever a text is cut, a piece of the whole begins there. */
static void cuts(void)
{
	static const char *const words[] = { "a", "'s", "\n", " ", "7", "\xc3\xa9",
					     "\xe3\x80\x80", "\xff" };
	char text[400], is_start[400] = "";
	size_t len = 0, wrong = 0, found = 0;
	uint32_t x = 1;

	while (len < sizeof(text) - 4) {
		x = x * 1664525 + 1013904223;
		strcpy(text + len, words[x >> 29]);
		len += strlen(words[x >> 29]);
	}
	for (size_t at = 0; at < len; at += pfw_bpe_piece(text + at, len - at))
		is_start[at] = 1;
	for (size_t n = 0; n <= len; n++) {
		size_t cut = pfw_bpe_cut(text, n);

		wrong += cut > n || !is_start[cut];
		found += cut > 0;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(found > len / 2);
}

/** Opens what must be refused; the sentence after the folder's name. */
static const char *refusal(const char *more, const char *merge_text, size_t len)
{
	struct pfw_tokenizer *tok;

	write_vocab(more);
	tmp_write("merges.txt", merge_text, len);
	err.text[0] = '\0';
	if (!pfw_tokenizer_open("gpt2", tmp_dir, &tok, &err))
		pfw_tokenizer_close(tok);
	return *err.text ? err.text + strlen(tmp_dir) + 1 : "";
}

#define REFUSAL(more, text) refusal(more, text, sizeof(text) - 1)

static void refusals(void)
{
	tmp_make();
	CU_ASSERT_STRING_EQUAL(REFUSAL("", ""), "");
	CU_ASSERT_STRING_EQUAL(REFUSAL("", "h e"), "");
	CU_ASSERT_STRING_EQUAL(REFUSAL("", "#version: 1\n\nh e\nhe\n"),
			       "merges.txt:4: found \"he\" where two tokens with one space between them belong");
	CU_ASSERT_STRING_EQUAL(REFUSAL("", "h e \n"),
			       "merges.txt:1: found \"h e \" where two tokens with one space between them belong");
	CU_ASSERT_STRING_EQUAL(REFUSAL("", "h \n"),
			       "merges.txt:1: found \"h \" where two tokens with one space between them belong");
	CU_ASSERT_STRING_EQUAL(REFUSAL("", "h e\nxyz e\n"),
			       "merges.txt:2: token \"xyz\" is not in vocab.json");
	CU_ASSERT_STRING_EQUAL(REFUSAL("", "e h\n"),
			       "merges.txt:1: what it merges to, \"eh\", is not in vocab.json");
	CU_ASSERT_STRING_EQUAL(REFUSAL("", "h e\nh e\n"),
			       "merges.txt:2: the same merge is already the 1-th");
	CU_ASSERT_STRING_EQUAL(REFUSAL("", "h e\0\n"),
			       "merges.txt: has a NUL byte: it is not a text");
	CU_ASSERT_STRING_EQUAL(REFUSAL(", \"x1\": 267", ""),
			       "vocab.json:1: token \"x1\" has number 267, with 267 tokens it is one of 0 to 266");
	CU_ASSERT_STRING_EQUAL(REFUSAL(", \"x1\": -1", ""),
			       "vocab.json:1: token \"x1\" has number -1, with 267 tokens it is one of 0 to 266");
	CU_ASSERT_STRING_EQUAL(REFUSAL(", \"x1\": [1]", ""),
			       "vocab.json:1: token \"x1\" has number an array, with 267 tokens it is one of 0 to 266");
	CU_ASSERT_STRING_EQUAL(REFUSAL(", \"x1\": 97", ""),
			       "vocab.json:1: tokens \"a\" and \"x1\" have the same number 97");
	CU_ASSERT_STRING_EQUAL(REFUSAL(", \"he\": 266", ""),
			       "vocab.json: line 1: the name \"he\" comes twice in one object");
	tmp_remove();
}

static const char *vocab_refusal(const char *text)
{
	struct pfw_tokenizer *tok;

	tmp_write("vocab.json", text, strlen(text));
	CU_ASSERT(pfw_tokenizer_open("gpt2", tmp_dir, &tok, &err) < 0);
	return err.text + strlen(tmp_dir) + 1;
}

static void odd_vocabularies(void)
{
	struct pfw_tokenizer *tok;

	tmp_make();
	CU_ASSERT_EQUAL(pfw_tokenizer_open("gpt2", tmp_dir, &tok, &err), -ENOENT);
	CU_ASSERT_STRING_EQUAL(err.text + strlen(tmp_dir) + 1,
			       "vocab.json: cannot open it: No such file or directory");
	CU_ASSERT_STRING_EQUAL(vocab_refusal("[]"),
			       "vocab.json: is empty, not an object of tokens and their numbers");
	CU_ASSERT_STRING_EQUAL(vocab_refusal("[1]"),
			       "vocab.json: is an array, not an object of tokens and their numbers");
	CU_ASSERT_STRING_EQUAL(vocab_refusal("{\"a\": 0}"),
			       "vocab.json: no token for byte 0x00 (\"\xc4\x80\"): not every text could be encoded");
	write_vocab("");
	CU_ASSERT_EQUAL(pfw_tokenizer_open("gpt2", tmp_dir, &tok, &err), -ENOENT);
	tmp_remove();
}

/* It would take hours if merging looked at all of it each time. */
static void a_long_word(void)
{
	size_t len = (size_t)1 << 19, n, wrong = 0;
	struct pfw_tokenizer *tok;
	int32_t *tokens;
	char *text = malloc(len);

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	for (size_t i = 0; i < len; i++)
		text[i] = i % 2 ? 'b' : 'a';
	tmp_make();
	tok = open_gpt2();
	CU_ASSERT_FATAL(!pfw_tokenizer_encode(tok, text, len, &tokens, &n, NULL));
	CU_ASSERT_EQUAL(n, len / 4);
	for (size_t i = 0; i < n; i++)
		wrong += tokens[i] != 264;
	CU_ASSERT_EQUAL(wrong, 0);
	free(tokens);
	free(text);
	pfw_tokenizer_close(tok);
	tmp_remove();
}

/** Encoded block by block, a file has the tokens of the whole text. */
static void check_blocks(const struct pfw_tokenizer *tok, const char *text,
			 size_t len)
{
	struct pfw_source src;
	int32_t *whole, *got;
	size_t n;

	CU_ASSERT_FATAL(!pfw_tokenizer_encode(tok, text, len, &whole, &n, NULL));
	CU_ASSERT_FATAL(!pfw_source_open(&src, tmp_write("t", text, len), tok,
					 267, &err));
	CU_ASSERT_STRING_EQUAL(src.format, "text");
	CU_ASSERT_EQUAL_FATAL(src.tokens, n);
	got = malloc(n * sizeof(*got));
	CU_ASSERT_PTR_NOT_NULL_FATAL(got);
	CU_ASSERT_FATAL(!pfw_source_read(&src, 0, n, got, &err));
	CU_ASSERT_EQUAL(memcmp(got, whole, n * sizeof(*got)), 0);
	pfw_source_close(&src);
	free(got);
	free(whole);
}

static void texts_in_blocks(void)
{
	static const char *const words[] = { "hello", " hello", "\n", "  ", "aa",
					     "\xc3\xa9", "\xe3\x80\x80", "\xff" };
	size_t len = 0, room = 5 << 19;
	struct pfw_tokenizer *tok;
	char *text = malloc(room + 8);
	uint32_t x = 1;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	tmp_make();
	tok = open_gpt2();
	while (len < room) {
		x = x * 1664525 + 1013904223;
		strcpy(text + len, words[x >> 29]);
		len += strlen(words[x >> 29]);
	}
	check_blocks(tok, text, len);
	memset(text, 'a', len); /* nowhere to cut */
	check_blocks(tok, text, len);
	memset(text, ' ', len);
	check_blocks(tok, text, len);
	free(text);
	pfw_tokenizer_close(tok);
	tmp_remove();
}

static const struct unit_test tests[] = {
	{ "bytes", bytes },
	{ "merging", merging },
	{ "pieces of a text", pretokens },
	{ "cuts", cuts },
	{ "refusals", refusals },
	{ "odd vocabularies", odd_vocabularies },
	{ "a long word", a_long_word },
	{ "texts in blocks", texts_in_blocks },
};

UNIT_MAIN("tokenizer", tests)
