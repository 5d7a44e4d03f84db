#include "cli/text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/nearest.h"
#include "cli/cli.h"

#define WIDTH 79u

void pfw_text_wrap(FILE *to, unsigned indent, const char *text)
{
	unsigned column = indent;
	size_t n;

	text += strspn(text, " ");
	while (*text) {
		n = strcspn(text, " ");
		if (column > indent && column + 1 + n > WIDTH) {
			fprintf(to, "\n%*s", (int)indent, "");
			column = indent;
		} else if (column > indent) {
			fputc(' ', to);
			column++;
		}
		fwrite(text, 1, n, to);
		column += (unsigned)n;
		text += n;
		text += strspn(text, " ");
	}
	fputc('\n', to);
}

uint32_t pfw_text_columns(int fd)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	int n = columns ? atoi(columns) : 0;

	if (n < 1 && !ioctl(fd, TIOCGWINSZ, &size))
		n = size.ws_col;
	return n < 1 || n > 1000 ? 80 : (uint32_t)n;
}

void pfw_text_heading(FILE *to, const char *text)
{
	const char *off = getenv("NO_COLOR");
	int bold = isatty(fileno(to)) && !(off && *off);

	fprintf(to, bold ? "\033[1m%s\033[0m\n" : "%s\n", text);
}

int pfw_text_unknown(const char *command, const char *what, const char *word,
		     const char *const *words, size_t n)
{
	const char *near = pfw_nearest(word, words, n);

	fprintf(stderr, "pipefw%s%s: unknown %s \"%.80s\"", *command ? " " : "",
		command, what, word);
	if (near)
		fprintf(stderr, "; did you mean \"%s\"?\n", near);
	else
		fprintf(stderr, "; see pipefw%s%s --help\n",
			*command ? " " : "", command);
	return PFW_EXIT_CONFIG;
}

void pfw_text_flops(double flops, char *buf, size_t len)
{
	static const char units[] = { 'M', 'G', 'T', 'P', 'E' };
	size_t unit = 0;

	for (flops /= 1e6; flops >= 999.5 && unit + 1 < sizeof(units); unit++)
		flops /= 1e3;
	snprintf(buf, len, "%.3g %cFLOP/s", flops, units[unit]);
}

void pfw_text_size(uint64_t bytes, char *buf, size_t len)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double n = (double)bytes;
	unsigned u = 0;

	while (n >= 1024 && u < 4) {
		n /= 1024;
		u++;
	}
	snprintf(buf, len, u && n < 999.95 ? "%.1f %s" : "%.0f %s", n,
		 units[u]);
}
