/* A model's options, taken from the config.json of a saved one. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "settings/read.h"

#define MOST_BYTES (1u << 20)

struct taker {
	struct pfw_values *values;
	const char *path; /* of the config.json */
};

static int same(const struct pfw_value *a, const struct pfw_value *b)
{
	if (a->i != b->i || a->f != b->f || a->n != b->n || !a->s != !b->s)
		return 0;
	if (a->s && strcmp(a->s, b->s) != 0)
		return 0;
	return !a->n || !memcmp(a->list, b->list, a->n * sizeof(*a->list));
}

/* One option that config.json tells. */
static int take(void *ctx, const char *name, const char *text,
		struct pfw_error *err)
{
	struct taker *t = ctx;
	struct pfw_values *v = t->values, *one;
	uint32_t i = pfw_option_find(v->options, v->n, name);
	int rc;

	if (i == PFW_NONE)
		return pfw_error_set(err, EINVAL, "the stage reads \"%s\", which "
				     "is no option of its own", name);
	rc = pfw_values_new(&v->options[i], 1, &one, err);
	if (rc)
		return rc;
	rc = pfw_values_set_text(one, "model", 0, text, err);
	if (!rc && v->v[i].state != PFW_VALUE_GIVEN) {
		struct pfw_value old = v->v[i];

		v->v[i] = one->v[0];
		one->v[0] = old;
	} else if (!rc && !same(&v->v[i], &one->v[0])) {
		rc = pfw_error_set(err, EINVAL, "the saved model has %s = %s, "
				   "the config another; leave model.%s out, or "
				   "make them equal", name, text, name);
	}
	pfw_values_free(one);
	return rc;
}

int pfw_read_saved_model(struct pfw_reader *r, const char *dir,
			 struct pfw_choice *model)
{
	static const char *const places[] = { "config.json",
					      "model/config.json" };
	const struct pfw_stage_ops *ops = &model->plugin->ops.stage;
	struct taker t = { .values = model->values };
	char path[PATH_MAX], *text;
	struct stat st;
	size_t len;
	int rc;

	if (!ops->from_config_json)
		return 0;
	for (size_t i = 0; i < 2 && !t.path; i++) {
		rc = pfw_path_join(path, sizeof(path), dir, places[i], r->err);
		if (rc)
			return rc;
		if (!stat(path, &st))
			t.path = path;
	}
	if (!t.path)
		return 0;
	rc = pfw_file_load(path, MOST_BYTES, &text, &len, r->err);
	if (rc)
		return rc;
	rc = ops->from_config_json(text, len, take, &t, r->err);
	if (rc)
		pfw_error_prefix(r->err, "%s: ", path);
	free(text);
	return rc;
}
