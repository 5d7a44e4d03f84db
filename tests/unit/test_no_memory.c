/*
 * Every allocation of the readers and writers of files fails once: a sentence,
 * no crash, and (under ASan) no leak.
 */
#include "unit.h"

#include <errno.h>
#include <pipefw/json.h>

#include "base/clock.h"
#include "data/data.h"
#include "tiny_model.h"
#include "tmpdir.h"

/* musl's symbols have no versions, so the linker takes a library's malloc for
 * ours as well, and wants to see it. */
#pragma GCC visibility push(default)

/* The n-th allocation fails. */
static int countdown;

static int fails(void)
{
	return countdown && !--countdown;
}

void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : __real_realloc(p, n);
}

char *__real_strdup(const char *s);
char *__wrap_strdup(const char *s);
char *__wrap_strdup(const char *s)
{
	return fails() ? NULL : __real_strdup(s);
}

#pragma GCC visibility pop

/**
 * Runs it with each of its allocations failing, until none is left to fail.
 * @p needed: so many it cannot do without.
 */
static void try_all(int (*run)(struct pfw_error *err), int needed)
{
	int n = 0, left;

	do {
		struct pfw_error err = { 0 };
		int rc;

		countdown = ++n;
		rc = run(&err);
		left = countdown;
		countdown = 0;
		if (n <= needed)
			CU_ASSERT(!left && rc == -ENOMEM);
		CU_ASSERT(!rc || rc == -ENOMEM);
		CU_ASSERT(!rc == !*err.text);
		CU_ASSERT(!left || !rc);
	} while (!left && n < 2000);
	CU_ASSERT(n < 2000);
}

static int parse(struct pfw_error *err)
{
	char text[2048] = "{\"a\": [0";
	struct pfw_json_doc *doc;
	int rc;

	for (int i = 0; i < 400; i++)
		strcat(text, ",1");
	strcat(text, "]}");
	rc = pfw_json_parse(text, strlen(text), &doc, err);
	if (!rc)
		pfw_json_free(doc);
	return rc;
}

static int save(struct pfw_error *err)
{
	return tiny_save(tmp_dir, 2, err);
}

static int restore(struct pfw_error *err)
{
	struct pfw_train_state state;
	char note[2048];
	int good = tiny_is_whole(tmp_dir, &state, note, sizeof(note), err);

	return good && state.step == 2 ? 0 : -err->code;
}

static int shards(struct pfw_error *err)
{
	struct pfw_st_reader *r;
	int rc = pfw_st_open(tmp_dir, &r, err);

	if (!rc)
		pfw_st_close(r);
	return rc;
}

static int batches(struct pfw_error *err)
{
	struct pfw_loader_info info = { .batch = 1, .seq = 8, .microbatches = 1 };
	struct pfw_tokenizer *tok = NULL;
	struct pfw_dataset *set = NULL;
	struct pfw_loader *ld = NULL;
	const int32_t *tokens, *targets;
	int rc;

	rc = pfw_tokenizer_open("byte", NULL, &tok, err);
	if (!rc)
		rc = pfw_dataset_open(tmp_path("text"), tmp_path("text"), tok, 0,
				      256, 8, &set, err);
	if (!rc)
		rc = pfw_loader_open(set, &info, &ld, err);
	if (!rc)
		rc = pfw_loader_next(ld, pfw_now() + 20 * PFW_S, &tokens,
				     &targets, err);
	pfw_loader_close(ld);
	pfw_dataset_close(set);
	pfw_tokenizer_close(tok);
	return rc;
}

static void json(void)
{
	try_all(parse, 5);
}

static void checkpoints(void)
{
	tmp_make();
	CU_ASSERT_FATAL(!tiny_save(tmp_dir, 1, NULL));
	try_all(save, 40);
	try_all(restore, 30);
	tmp_remove();
}

static void safetensors(void)
{
	const char *index = "{\"weight_map\":{\"a\":\"a\",\"b\":\"b\"}}";
	char file[128] = "";

	tmp_make();
	tmp_write("model.safetensors.index.json", index, strlen(index));
	for (const char *name = "a"; name; name = *name == 'a' ? "b" : NULL) {
		int n = sprintf(file + 8, "{\"%s\":{\"dtype\":\"F32\",\"shape\":[0],"
					  "\"data_offsets\":[0,0]}}", name);

		file[0] = (char)n;
		tmp_write(name, file, 8 + (size_t)n);
	}
	try_all(shards, 15);
	tmp_remove();
}

static void data(void)
{
	tmp_make();
	tmp_write("text", "a text of some length, for a sequence", 37);
	try_all(batches, 10);
	tmp_remove();
}

static const struct unit_test tests[] = {
	{ "JSON", json },
	{ "checkpoints", checkpoints },
	{ "safetensors", safetensors },
	{ "data", data },
};

UNIT_MAIN("no memory", tests)
