/* Kinds of plugin, and the names their files have. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "plugin/loader.h"

static const char *const kinds[] = {
	[PFW_KIND_SCHEDULE] = "schedule", [PFW_KIND_TRANSPORT] = "transport",
	[PFW_KIND_FILTER] = "filter",     [PFW_KIND_STAGE] = "stage",
	[PFW_KIND_DEVICE] = "device",
};

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

const char *pfw_kind_name(uint32_t kind)
{
	return kind < N_KINDS ? kinds[kind] : NULL;
}

uint32_t pfw_kind_from_name(const char *word)
{
	for (uint32_t k = 1; k < N_KINDS; k++)
		if (!strcmp(kinds[k], word))
			return k;
	return 0;
}

int pfw_plugin_file_name(const char *file, uint32_t *kind, char *name,
			 size_t len)
{
	static const char head[] = "pipefw-", tail[] = ".so";
	char word[PFW_PLUGIN_NAME_MAX];
	size_t n = strlen(file), from = sizeof(head) - 1;
	const char *dash;

	if (n < sizeof(head) + sizeof(tail) || n - from >= sizeof(word) ||
	    strncmp(file, head, from) != 0 ||
	    strcmp(file + n - strlen(tail), tail) != 0)
		return -EINVAL;
	n -= from + strlen(tail);
	memcpy(word, file + from, n);
	word[n] = '\0';
	dash = strrchr(word, '-');
	if (!dash || dash == word || (size_t)(dash - word) >= len)
		return -EINVAL;
	*kind = pfw_kind_from_name(dash + 1);
	memcpy(name, word, (size_t)(dash - word));
	name[dash - word] = '\0';
	return 0;
}
