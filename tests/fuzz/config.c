/*
 * Fuzz target: a config and --set texts, separated by NUL bytes.  Whatever they
 * are, the reader refuses them with a sentence or takes them; what it takes it
 * writes, reads again and writes the same.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "settings/config.h"

#define MOST_SETS 8

/* libconfig itself loses the string it is reading at a syntax error. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:strbuf_append\nleak:libconfig_yylex\n";
}

static void broken(const char *what, const char *text)
{
	fprintf(stderr, "fuzz: %s: %s\n", what, text);
	abort();
}

/* A file of memory, the same one each time: its path for the reader. */
static const char *put(const void *bytes, size_t len)
{
	static char path[32];
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("config", MFD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	if (fd < 0 || ftruncate(fd, 0) ||
	    pwrite(fd, bytes, len, 0) != (ssize_t)len)
		broken("memfd", strerror(errno));
	return path;
}

static char *written(const struct pfw_config *cfg, size_t *len)
{
	struct pfw_error err = { 0 };
	char *text = NULL;
	FILE *to = open_memstream(&text, len);

	if (!to || pfw_config_write(cfg, to, &err) || fclose(to))
		broken("cannot be written", err.text);
	return text;
}

static void round_trip(struct pfw_registry *reg, const struct pfw_config *cfg)
{
	struct pfw_error err = { 0 };
	struct pfw_config *again;
	char *first, *second;
	size_t n, m;

	first = written(cfg, &n);
	if (pfw_config_load(reg, put(first, n), NULL, 0, &again, &err))
		broken("not read again", err.text);
	second = written(again, &m);
	if (n != m || memcmp(first, second, n) != 0)
		broken("not the same again", second);
	free(first);
	free(second);
	pfw_config_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pfw_registry *reg;
	struct pfw_error err = { 0 };
	struct pfw_config *cfg;
	struct pfw_set sets[MOST_SETS];
	size_t n_sets = 0, len;
	char *copy, *at;

	if (!reg && pfw_registry_open(NULL, &reg, &err))
		broken("registry", err.text);
	copy = malloc(size + 1);
	if (!copy)
		return 0;
	memcpy(copy, data, size);
	copy[size] = '\0';
	len = strlen(copy);
	for (at = copy + len; at < copy + size && n_sets < MOST_SETS;
	     at += strlen(at))
		sets[n_sets++] = (struct pfw_set){ "--set", ++at };
	if (!pfw_config_load(reg, put(copy, len), sets, n_sets, &cfg, &err)) {
		round_trip(reg, cfg);
		pfw_config_free(cfg);
	} else if (!*err.text || !err.code) {
		broken("refused without a word", copy);
	}
	free(copy);
	return 0;
}
