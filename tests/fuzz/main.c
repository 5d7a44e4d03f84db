/*
 * fuzz RUNS SEED FILE...: gives the target each file of the corpus as it is, then
 * RUNS random changes of them.  A crash leaves the input in fuzz-crash.
 */
#include "fuzz/fuzz.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

#define MOST_FILES 64
#define MOST_BYTES 65536u

static struct {
	char *bytes;
	size_t len;
} corpus[MOST_FILES];
static size_t n_files;

static uint8_t input[MOST_BYTES];
static volatile size_t input_len;

/* xorshift64* (Vigna, arXiv 1402.6246). */
static uint64_t state;

static size_t dice(size_t n)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return n ? (size_t)((state * 0x2545f4914f6cdd1dull) >> 16) % n : 0;
}

/* On a crash: only what a signal handler may do. */
static void keep(int sig)
{
	int fd = open("fuzz-crash", O_CREAT | O_TRUNC | O_WRONLY, 0600);

	if (fd >= 0 && write(fd, input, input_len) < 0)
		_exit(99);
	signal(sig, SIG_DFL);
	raise(sig);
}

/* Puts @p n bytes in at @p at. */
static void insert(size_t at, const void *bytes, size_t n)
{
	if (input_len + n > sizeof(input))
		return;
	memmove(input + at + n, input + at, input_len - at);
	memcpy(input + at, bytes, n);
	input_len += n;
}

static void cut(size_t at, size_t n)
{
	memmove(input + at, input + at + n, input_len - at - n);
	input_len -= n;
}

/* A piece of some file of the corpus: words of the format among them. */
static void insert_piece(size_t at)
{
	size_t f = dice(n_files), from = dice(corpus[f].len);
	size_t n = dice(corpus[f].len - from);

	insert(at, corpus[f].bytes + from, n < 64 ? n : 64);
}

static void change(void)
{
	static const char *const words[] = {
		"{", "}", "=", ";", "\"", "[", "]", "(", ")", ",", "/*", "*/",
		"@include \"a\"", "99999999999", "-1", "1e999", "0x7fffffff",
		"L", "\\", "\xff", "\n", "#", ".", "true", "[]",
	};
	size_t at = dice(input_len + 1), w;
	char c;

	switch (dice(6)) {
	case 0:
		c = (char)dice(256);
		insert(at, &c, 1);
		break;
	case 1:
		w = dice(sizeof(words) / sizeof(words[0]));
		insert(at, words[w], strlen(words[w]));
		break;
	case 2:
		insert_piece(at);
		break;
	case 3:
		cut(at, dice(input_len - at < 16 ? input_len - at + 1 : 16));
		break;
	case 4:
		cut(at, dice(input_len - at + 1));
		break;
	default:
		if (at < input_len)
			input[at] ^= (uint8_t)(1u << dice(8));
		break;
	}
}

static void run(size_t file, size_t changes)
{
	input_len = corpus[file].len;
	memcpy(input, corpus[file].bytes, input_len);
	while (changes--)
		change();
	LLVMFuzzerTestOneInput(input, input_len);
}

int main(int argc, char **argv)
{
	static const int signals[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE };
	unsigned long runs;

	if (argc < 4 || argc - 3 > MOST_FILES) {
		fprintf(stderr, "usage: %s RUNS SEED FILE...\n", argv[0]);
		return 2;
	}
	runs = strtoul(argv[1], NULL, 10);
	state = strtoul(argv[2], NULL, 10) * 2654435761u + 1;
	for (size_t i = 0; i < 4; i++)
		signal(signals[i], keep);
	for (int i = 3; i < argc; i++, n_files++)
		if (pfw_file_load(argv[i], MOST_BYTES / 2, &corpus[n_files].bytes,
				  &corpus[n_files].len, NULL)) {
			fprintf(stderr, "cannot read %s\n", argv[i]);
			return 2;
		}
	for (size_t i = 0; i < n_files; i++)
		run(i, 0);
	for (unsigned long i = 0; i < runs; i++)
		run(dice(n_files), 1 + dice(6));
	printf("%lu inputs\n", runs + n_files);
	for (size_t i = 0; i < n_files; i++)
		free(corpus[i].bytes);
	return 0;
}
