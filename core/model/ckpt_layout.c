/* Where the parts of a checkpoint lie, in folders and in files. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "model/ckpt.h"

const char *pfw_ckpt_file(uint32_t file)
{
	static const char *const names[PFW_CKPT_FILES] = {
		"model/model.safetensors", "state/optimizer.safetensors",
		"model/config.json",
	};

	return names[file];
}

int pfw_ckpt_path(char out[PATH_MAX], const char *run_dir, uint64_t step,
		  const char *suffix, struct pfw_error *err)
{
	char name[64];

	snprintf(name, sizeof(name), "checkpoints/step-%llu%s",
		 (unsigned long long)step, suffix);
	return pfw_path_join(out, PATH_MAX, run_dir, name, err);
}

int pfw_ckpt_step(const char *name, uint64_t *step)
{
	const char *digits = name + 5;
	unsigned long long n;

	if (strncmp(name, "step-", 5) || !*digits ||
	    digits[strspn(digits, "0123456789")])
		return 0;
	errno = 0;
	n = strtoull(digits, NULL, 10);
	if (errno)
		return 0;
	*step = n;
	return 1;
}

static int compare_steps(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x == *y ? 0 : *x > *y ? -1 : 1;
}

int pfw_ckpt_list(const char *run_dir, uint64_t **out, size_t *n,
		  struct pfw_error *err)
{
	uint64_t *steps = NULL, *more, step;
	char path[PATH_MAX];
	struct dirent *entry;
	size_t count = 0;
	DIR *dir;
	int rc;

	rc = pfw_path_join(path, sizeof(path), run_dir, "checkpoints", err);
	if (rc)
		return rc;
	dir = opendir(path);
	if (!dir)
		return pfw_error_set(err, errno, "%s: cannot open the folder: %s",
				     path, strerror(errno));
	while ((entry = readdir(dir))) {
		if (!pfw_ckpt_step(entry->d_name, &step))
			continue;
		more = realloc(steps, (count + 1) * sizeof(*steps));
		if (!more) {
			free(steps);
			closedir(dir);
			return pfw_error_set(err, ENOMEM, "out of memory");
		}
		steps = more;
		steps[count++] = step;
	}
	closedir(dir);
	if (count)
		qsort(steps, count, sizeof(*steps), compare_steps);
	*out = steps;
	*n = count;
	return 0;
}

int pfw_ckpt_latest(const char *run_dir, uint64_t *step)
{
	char path[PATH_MAX], target[PATH_MAX];
	const char *name;
	ssize_t n;

	if (pfw_path_join(path, sizeof(path), run_dir, "latest", NULL))
		return 0;
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return 0;
	target[n] = '\0';
	name = strrchr(target, '/');
	return pfw_ckpt_step(name ? name + 1 : target, step);
}

const char *pfw_ckpt_tensor_end(uint32_t part)
{
	static const char *const ends[] = { "", ".exp_avg", ".exp_avg_sq" };

	return ends[part];
}

char *pfw_ckpt_tensor(const char *param, uint32_t part)
{
	const char *end = pfw_ckpt_tensor_end(part);
	size_t len = strlen(param) + strlen(end) + 1;
	char *name = malloc(len);

	if (name)
		snprintf(name, len, "%s%s", param, end);
	return name;
}

/** The input of pfw_st_header(), an entry for each tensor. */
struct columns {
	char **names;
	uint32_t *n_dims;
	uint64_t (*dims)[PFW_MAX_DIMS];
};

static int fill_columns(const struct pfw_model *model, uint32_t first_part,
			uint32_t parts, struct columns *c)
{
	size_t n = (size_t)model->n_params * parts;

	c->names = calloc(n + 1, sizeof(*c->names));
	c->n_dims = calloc(n + 1, sizeof(*c->n_dims));
	c->dims = calloc(n + 1, sizeof(*c->dims));
	if (!c->names || !c->n_dims || !c->dims)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct pfw_param *p = &model->params[i / parts].info;

		c->names[i] = pfw_ckpt_tensor(p->name, first_part +
						       (uint32_t)(i % parts));
		if (!c->names[i])
			return -ENOMEM;
		c->n_dims[i] = p->n_dims;
		memcpy(c->dims[i], p->dims, sizeof(p->dims));
	}
	return 0;
}

static void free_columns(struct columns *c, size_t n)
{
	for (size_t i = 0; c->names && i < n; i++)
		free(c->names[i]);
	free(c->names);
	free(c->n_dims);
	free(c->dims);
}

int pfw_ckpt_layout_make(const struct pfw_model *model, uint32_t file,
			 struct pfw_ckpt_layout *out, struct pfw_error *err)
{
	struct pfw_ckpt_layout l = { .parts = file == PFW_CKPT_WEIGHTS ? 1 : 2 };
	size_t n = (size_t)model->n_params * l.parts;
	struct columns c = { 0 };
	int rc;

	l.offsets = calloc(n + 1, sizeof(*l.offsets));
	if (!l.offsets ||
	    fill_columns(model, file == PFW_CKPT_WEIGHTS ? PFW_PART_WEIGHT :
							   PFW_PART_MOMENT1,
			 l.parts, &c))
		rc = pfw_error_set(err, ENOMEM,
				   "out of memory for the names of %zu tensors",
				   n);
	else
		rc = pfw_st_header((const char *const *)c.names, c.n_dims,
				   (const uint64_t (*)[PFW_MAX_DIMS])c.dims, n,
				   &l.header, &l.header_bytes, l.offsets,
				   &l.bytes, err);
	free_columns(&c, n);
	if (rc) {
		free(l.offsets);
		return rc;
	}
	*out = l;
	return 0;
}

void pfw_ckpt_layout_free(struct pfw_ckpt_layout *layout)
{
	free(layout->header);
	free(layout->offsets);
	layout->header = NULL;
	layout->offsets = NULL;
}
