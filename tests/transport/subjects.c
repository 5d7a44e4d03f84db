/* Finds what to test. */
#include "harness.h"

#include "settings/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OPTIONS 8

int subject_load(struct pfw_registry *reg, const char *name, const char *options,
		 const struct subject *below, struct subject *out,
		 struct pfw_error *err)
{
	char *texts = strdup(options), *word, *rest = texts;
	const char *pairs[MAX_OPTIONS];
	const struct pfw_loaded *plugin;
	size_t n = 0;
	int rc;

	while ((word = strtok_r(rest, " ", &rest)) && n < MAX_OPTIONS)
		pairs[n++] = word;
	rc = pfw_registry_get(reg, below ? PFW_KIND_FILTER : PFW_KIND_TRANSPORT,
			      name, &plugin, err);
	if (!rc)
		rc = pfw_values_from_texts(plugin->info.options,
					   plugin->info.n_options, name, pairs, n,
					   &out->opt, err);
	free(texts);
	if (rc)
		return rc;
	snprintf(out->name, sizeof(out->name), "%s%s%s%s%.60s", name,
		 *options ? " " : "", options, below ? " on " : "",
		 below ? below->name : "");
	out->ops = &plugin->ops.transport;
	out->below = below;
	return 0;
}

void subject_free(struct subject *s)
{
	pfw_values_free(s->opt);
}

static bool can_run(const struct pfw_listed *plugin)
{
	const struct pfw_transport_ops *ops = &plugin->loaded->ops.transport;
	char why[512] = "";

	if (!ops->probe || !ops->probe(why, sizeof(why)))
		return true;
	printf("%s: skipped: %s\n", plugin->name, why);
	return false;
}

static int add(struct subjects *s, const struct pfw_listed *plugin,
	       const struct subject *below, struct pfw_error *err)
{
	int rc;

	if (plugin->problem)
		return pfw_error_set(err, EINVAL, "%s", plugin->problem);
	if (!can_run(plugin))
		return 0;
	rc = subject_load(s->registry, plugin->name, "", below, &s->list[s->n], err);
	if (!rc)
		s->n++;
	return rc;
}

int subjects_load(struct subjects *out, struct pfw_error *err)
{
	struct subjects s = { 0 };
	struct pfw_listed *found;
	size_t n;
	int rc;

	rc = pfw_registry_open(NULL, &s.registry, err);
	if (!rc)
		rc = pfw_registry_list(s.registry, &found, &n, err);
	if (rc)
		goto err_free;
	s.list = calloc(n + 1, sizeof(*s.list));
	for (size_t i = 0; !rc && s.list && i < n; i++)
		if (found[i].kind == PFW_KIND_TRANSPORT)
			rc = add(&s, &found[i], NULL, err);
	for (size_t i = 0; !rc && s.n && i < n; i++)
		if (found[i].kind == PFW_KIND_FILTER)
			rc = add(&s, &found[i], &s.list[0], err);
	pfw_listed_free(found, n);
	if (rc)
		goto err_free;
	*out = s;
	return 0;

err_free:
	subjects_free(&s);
	return rc;
}

void subjects_free(struct subjects *s)
{
	for (size_t i = 0; i < s->n; i++)
		subject_free(&s->list[i]);
	free(s->list);
	pfw_registry_close(s->registry);
}
