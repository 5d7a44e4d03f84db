#include "harness.h"

#include "settings/config.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_OPTIONS 8

int subject_load(struct pfw_registry *reg, const char *name, const char *options,
		 const struct pfw_subject *below, struct pfw_subject *out,
		 struct pfw_error *err)
{
	char *texts = strdup(options), *word, *rest = texts;
	const char *pairs[MAX_OPTIONS];
	const struct pfw_loaded *plugin;
	struct pfw_values *values;
	size_t n = 0;
	int rc;

	while ((word = strtok_r(rest, " ", &rest)) && n < MAX_OPTIONS)
		pairs[n++] = word;
	rc = pfw_registry_get(reg, below ? PFW_KIND_FILTER : PFW_KIND_TRANSPORT,
			      name, &plugin, err);
	if (!rc)
		rc = pfw_values_from_texts(plugin->info.options,
					   plugin->info.n_options, name, pairs, n,
					   &values, err);
	free(texts);
	if (rc)
		return rc;
	snprintf(out->name, sizeof(out->name), "%s%s%s%s%.60s", name,
		 *options ? " " : "", options, below ? " on " : "",
		 below ? below->name : "");
	out->ops = &plugin->ops.transport;
	out->opt = values;
	out->below = below;
	return 0;
}

void subject_free(struct pfw_subject *s)
{
	pfw_values_free((struct pfw_values *)s->opt);
}

void scratch_make(char path[64])
{
	const char *tmp = getenv("TMPDIR");

	snprintf(path, 64, "%.40s/pipefw-test-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(path)) {
		perror(path);
		exit(99);
	}
}

void scratch_remove(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d)))
		unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	if (rmdir(path))
		perror(path);
}
