#include <pipefw/json.h>

#include <string.h>

#include "base/utf8.h"

/** The next character as JSON writes it, in at most 12 bytes with the NUL. */
static size_t quote_next(const char *text, size_t len, char out[12])
{
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	uint32_t c = 0;
	size_t n = pfw_utf8_get(text, len, &c);
	const char *found = n == 1 && c ? strchr(from, (int)c) : NULL;

	if (!n)
		strcpy(out, "\xef\xbf\xbd");
	else if (found)
		snprintf(out, 12, "\\%c", to[found - from]);
	else if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		snprintf(out, 12, "\\u%04x", c);
	else
		snprintf(out, 12, "%.*s", (int)n, text);
	return n ? n : 1;
}

size_t pfw_json_quote(const char *text, char *buf, size_t size)
{
	size_t len = strlen(text), n = 1;
	char piece[12];

	if (size)
		snprintf(buf, size, "\"");
	for (size_t i = 0; i < len; n += strlen(piece)) {
		i += quote_next(text + i, len - i, piece);
		if (n < size)
			snprintf(buf + n, size - n, "%s", piece);
	}
	if (n < size)
		snprintf(buf + n, size - n, "\"");
	return n + 1;
}

void pfw_json_print(FILE *to, const char *text)
{
	size_t len = strlen(text);
	char piece[12];

	fputc('"', to);
	for (size_t i = 0; i < len;) {
		i += quote_next(text + i, len - i, piece);
		fputs(piece, to);
	}
	fputc('"', to);
}
