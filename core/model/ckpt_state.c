/* state.json */
#include <errno.h>
#include <pipefw/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "model/ckpt.h"

#define MAX_STATE 65536u

/** The members that are numbers of the training state. */
static const struct member {
	const char *name;
	size_t offset;
} members[] = {
	{ "step", offsetof(struct pfw_train_state, step) },
	{ "updates", offsetof(struct pfw_train_state, updates) },
	{ "sample", offsetof(struct pfw_train_state, sample) },
	{ "seed", offsetof(struct pfw_train_state, seed) },
	{ "data", offsetof(struct pfw_train_state, data) },
	{ "bad_steps", offsetof(struct pfw_train_state, bad_steps) },
	{ "bad_in_row", offsetof(struct pfw_train_state, bad_in_row) },
};

#define N_MEMBERS (sizeof(members) / sizeof(members[0]))

static uint64_t *number(struct pfw_train_state *s, const struct member *m)
{
	return (uint64_t *)(void *)((char *)s + m->offset);
}

int pfw_ckpt_state_write(const char *path, const struct pfw_ckpt_state *state,
			 struct pfw_error *err)
{
	struct pfw_ckpt_state s = *state;
	char text[2048];
	size_t n = 0;

	n += (size_t)snprintf(text + n, sizeof(text) - n, "{\n  \"format\": %u,\n",
			      PFW_CKPT_FORMAT);
	for (size_t i = 0; i < N_MEMBERS; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
				      "  \"%s\": %llu,\n", members[i].name,
				      (unsigned long long)*number(&s.train,
								  &members[i]));
	n += (size_t)snprintf(text + n, sizeof(text) - n, "  \"files\": {");
	for (uint32_t i = 0; i < PFW_CKPT_FILES; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
				      "%s\n    \"%s\": %llu", i ? "," : "",
				      pfw_ckpt_file(i),
				      (unsigned long long)s.bytes[i]);
	n += (size_t)snprintf(text + n, sizeof(text) - n, "\n  }\n}\n");
	return pfw_file_create(path, text, n, err);
}

static int get_number(const struct pfw_json *v, const char *name, uint64_t *out,
		      struct pfw_error *err)
{
	int rc = pfw_json_u64(v, out);

	if (!rc)
		return 0;
	return pfw_error_set(err, -rc,
			     "\"%s\" is %s where a whole number from 0 to 2^64 - 1 belongs",
			     name, pfw_json_kind_text(v));
}

static int parse_state(const struct pfw_json *root, struct pfw_ckpt_state *out,
		       struct pfw_error *err)
{
	const struct pfw_json *files = pfw_json_get(root, "files");
	struct pfw_ckpt_state s = { 0 };
	uint64_t format = 0;
	int rc;

	rc = get_number(pfw_json_get(root, "format"), "format", &format, err);
	if (rc)
		return rc;
	if (format != PFW_CKPT_FORMAT)
		return pfw_error_set(err, EPROTONOSUPPORT,
				     "format %llu, this pipefw reads %u",
				     (unsigned long long)format, PFW_CKPT_FORMAT);
	for (size_t i = 0; !rc && i < N_MEMBERS; i++)
		rc = get_number(pfw_json_get(root, members[i].name),
				members[i].name, number(&s.train, &members[i]),
				err);
	for (uint32_t i = 0; !rc && i < PFW_CKPT_FILES; i++)
		rc = get_number(pfw_json_get(files, pfw_ckpt_file(i)),
				pfw_ckpt_file(i), &s.bytes[i], err);
	if (!rc)
		*out = s;
	return rc;
}

int pfw_ckpt_state_read(const char *path, struct pfw_ckpt_state *state,
			struct pfw_error *err)
{
	struct pfw_json_doc *doc;
	size_t len;
	char *text;
	int rc;

	rc = pfw_file_load(path, MAX_STATE, &text, &len, err);
	if (rc)
		return rc;
	rc = pfw_json_parse(text, len, &doc, err);
	free(text);
	if (!rc) {
		rc = parse_state(pfw_json_root(doc), state, err);
		pfw_json_free(doc);
	}
	if (rc)
		pfw_error_prefix(err, "%s: ", path);
	return rc;
}
