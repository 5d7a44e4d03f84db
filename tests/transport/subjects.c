/* Finds what to test: the transports in $PIPEFW_PLUGIN_DIR. */
#include "harness.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcmp(s + n - m, end);
}

static const struct pfw_plugin *load(const char *dir, const char *file)
{
	char path[4096];
	void *so;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	so = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!so)
		fprintf(stderr, "%s\n", dlerror());
	return so ? dlsym(so, "pfw_plugin") : NULL;
}

static bool can_run(const struct pfw_plugin *p)
{
	const struct pfw_transport_ops *ops = p->ops;
	char why[512] = "";

	if (!ops->probe || !ops->probe(why, sizeof(why)))
		return true;
	printf("%s: skipped: %s\n", p->name, why);
	return false;
}

struct subject *subjects_load(size_t *n)
{
	const char *dir = getenv("PIPEFW_PLUGIN_DIR");
	struct subject *out = NULL;
	struct dirent *e;
	DIR *d = dir ? opendir(dir) : NULL;

	*n = 0;
	while (d && (e = readdir(d))) {
		const struct pfw_plugin *p;

		if (!ends_with(e->d_name, "-transport.so"))
			continue;
		p = load(dir, e->d_name);
		if (!p || !can_run(p))
			continue;
		out = realloc(out, (*n + 1) * sizeof(*out));
		out[(*n)++] = (struct subject){ .name = p->name, .ops = p->ops };
	}
	if (d)
		closedir(d);
	return out;
}
