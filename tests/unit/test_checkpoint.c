/* A run's folder as it is read: whole, damaged, or of somebody else. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>

#include "base/file.h"
#include "saved.h"

static void damage(const char *name, const char *text)
{
	tmp_write(name, text, strlen(text));
}

static void saved_and_read(void)
{
	char target[64] = "";

	tmp_make();
	save(7);
	CU_ASSERT_EQUAL(step_in(tmp_dir), 7);
	CU_ASSERT_STRING_EQUAL(note, "");
	CU_ASSERT_EQUAL(step_in(tmp_path("checkpoints/step-7")), 7);
	CU_ASSERT_EQUAL(step_in(tmp_path("latest")), 7);
	CU_ASSERT_EQUAL(readlink(tmp_path("model"), target, sizeof(target)), 12);
	CU_ASSERT_STRING_EQUAL(target, "latest/model");
	CU_ASSERT_EQUAL(access(tmp_path("state/optimizer.safetensors"), R_OK), 0);
	CU_ASSERT_EQUAL(access(tmp_path("checkpoints/step-7.tmp"), F_OK), -1);
	tmp_remove();
}

static void two_are_kept(void)
{
	tmp_make();
	for (uint64_t step = 1; step <= 4; step++)
		save(step);
	CU_ASSERT_EQUAL(step_in(tmp_dir), 4);
	CU_ASSERT_EQUAL(step_in(tmp_path("checkpoints/step-3")), 3);
	CU_ASSERT_EQUAL(access(tmp_path("checkpoints/step-2"), F_OK), -1);
	CU_ASSERT_EQUAL(access(tmp_path("checkpoints/step-1"), F_OK), -1);
	/* back to an earlier step: what is kept is what was saved last */
	save(2);
	CU_ASSERT_EQUAL(step_in(tmp_dir), 2);
	CU_ASSERT_EQUAL(step_in(tmp_path("checkpoints/step-4")), 4);
	CU_ASSERT_EQUAL(access(tmp_path("checkpoints/step-3"), F_OK), -1);
	/* the same step once more */
	save(2);
	CU_ASSERT_EQUAL(step_in(tmp_dir), 2);
	CU_ASSERT_EQUAL(access(tmp_path("checkpoints/step-2.tmp"), F_OK), -1);
	pfw_checkpoint_clear(tmp_dir);
	CU_ASSERT_EQUAL(rmdir(tmp_dir), 0);
}

/** The files of a model's folder, one after the other. */
static char *model_bytes(const char *run, size_t *len)
{
	static const char *const names[] = { "model/model.safetensors",
					     "model/config.json" };
	char path[PATH_MAX], *all = NULL, *text;
	size_t n;

	*len = 0;
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_FATAL(!pfw_path_join(path, sizeof(path), run, names[i],
					       NULL));
		CU_ASSERT_FATAL(!pfw_file_load(path, 1 << 20, &text, &n, NULL));
		all = realloc(all, *len + n);
		CU_ASSERT_PTR_NOT_NULL_FATAL(all);
		memcpy(all + *len, text, n);
		*len += n;
		free(text);
	}
	return all;
}

static void equal_bytes(void)
{
	char *a, *b;
	size_t n, m;

	tmp_make();
	CU_ASSERT_FATAL(!mkdir(tmp_path("other"), 0700));
	save(3);
	CU_ASSERT_FATAL(!tiny_save(tmp_path("other"), 2, NULL));
	CU_ASSERT_FATAL(!tiny_save(tmp_path("other"), 3, NULL));
	a = model_bytes(tmp_dir, &n);
	b = model_bytes(tmp_path("other"), &m);
	CU_ASSERT(n == m && !memcmp(a, b, n));
	free(a);
	free(b);
	tmp_remove();
}

/* 28: sizes, .tmp, a part that is missing: the one before is read, said so. */
static void damaged_latest(void)
{
	static const char *const parts[] = {
		"state/state.json", "state/optimizer.safetensors",
		"model/model.safetensors", "model/config.json",
		"state/checksums",
	};

	for (int i = 0; i < 5; i++) {
		tmp_make();
		save(1);
		save(2);
		CU_ASSERT_FATAL(!unlink(tmp_path(parts[i])));
		CU_ASSERT_EQUAL(step_in(tmp_dir), 1);
		CU_ASSERT_PTR_NOT_NULL(strstr(note, "the latest checkpoint cannot be read ("));
		CU_ASSERT_PTR_NOT_NULL(strstr(note, "): going back to step 1"));
		CU_ASSERT_PTR_NOT_NULL(strstr(note, parts[i]));
		/* the damaged one does not push out the whole one */
		save(3);
		CU_ASSERT_EQUAL(step_in(tmp_path("checkpoints/step-1")), 1);
		CU_ASSERT_EQUAL(access(tmp_path("checkpoints/step-2"), F_OK), -1);
		tmp_remove();
	}
}

static void refusals(void)
{
	tmp_make();
	CU_ASSERT_EQUAL(step_in(tmp_dir), 0);
	CU_ASSERT_STRING_EQUAL(sentence(),
			       "state/state.json: cannot open it: No such file or directory");
	save(5);
	CU_ASSERT_FATAL(!truncate(tmp_path("model/model.safetensors"), 300));
	CU_ASSERT_EQUAL(step_in(tmp_dir), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, ": no checkpoint can be read: "));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "model/model.safetensors: has 300 bytes, state.json tells of "));
	damage("state/state.json", "{\"format\": 3}");
	CU_ASSERT_EQUAL(step_in(tmp_path("latest")), 0);
	CU_ASSERT_STRING_EQUAL(sentence(),
			       "latest/state/state.json: format 3, this pipefw reads 2");
	damage("state/state.json", "{\"format\": 2, \"step\": -1}");
	CU_ASSERT_EQUAL(step_in(tmp_path("latest")), 0);
	CU_ASSERT_STRING_EQUAL(sentence(),
			       "latest/state/state.json: \"step\" is a number where a whole number from 0 to 2^64 - 1 belongs");
	unlink(tmp_path("latest"));
	CU_ASSERT_EQUAL(step_in(tmp_dir), 0);
	tmp_remove();
}

/* One byte of a file, in one way and the other: it is named, or checksums. */
static void flip(const char *name, off_t at)
{
	static const unsigned char masks[] = { 1, 0x20, 0x80 };
	int fd = open(tmp_path(name), O_RDWR);

	CU_ASSERT_FATAL(fd >= 0);
	for (size_t i = 0; i < sizeof(masks); i++) {
		unsigned char is, other;

		CU_ASSERT_EQUAL_FATAL(pread(fd, &is, 1, at), 1);
		other = is ^ masks[i];
		CU_ASSERT_EQUAL_FATAL(pwrite(fd, &other, 1, at), 1);
		CU_ASSERT_EQUAL(step_in(tmp_path("checkpoints/step-7")), 0);
		CU_ASSERT(strstr(err.text, strrchr(name, '/') + 1) ||
			  strstr(err.text, "state/checksums"));
		if (!strncmp(err.text, "tensor", 6))
			CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "run.resume"));
		CU_ASSERT_EQUAL_FATAL(pwrite(fd, &is, 1, at), 1);
	}
	close(fd);
}

/* Every byte of every file counts, and a tokenizer's files do. */
static void a_flipped_byte(void)
{
	static const char *const names[] = {
		"model/model.safetensors", "state/optimizer.safetensors",
		"model/config.json", "state/state.json", "state/checksums",
		"model/vocab.json", "model/merges.txt",
	};
	struct stat st;

	tmp_make();
	tmp_write("vocab.json", "{\"a\": 0}", 8);
	tmp_write("merges.txt", "a b\n", 4);
	CU_ASSERT_EQUAL_FATAL(tiny_save_with(tmp_dir, 7, tmp_dir, &err), 0);
	CU_ASSERT_EQUAL(step_in(tmp_path("checkpoints/step-7")), 7);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		CU_ASSERT_FATAL(!stat(tmp_path(names[i]), &st));
		CU_ASSERT(st.st_size > 0);
		for (off_t at = 0; at < st.st_size; at++)
			flip(names[i], at);
	}
	CU_ASSERT_EQUAL(step_in(tmp_path("checkpoints/step-7")), 7);
	tmp_remove();
}

/* What the user is told of numbers that changed. */
static void a_changed_tensor(void)
{
	struct stat st;
	int fd;

	tmp_make();
	save(7);
	fd = open(tmp_path("model/model.safetensors"), O_RDWR);
	CU_ASSERT_FATAL(fd >= 0 && !fstat(fd, &st));
	CU_ASSERT_EQUAL(pwrite(fd, "x", 1, st.st_size - 1), 1);
	close(fd);
	CU_ASSERT_EQUAL(step_in(tmp_dir), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "checkpoints/step-7/model/model.safetensors: tensor \"w\" is not what was saved: its checksum is "));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "go on from another one beside it (run.resume)"));
	tmp_remove();
}

/** A folder with a tensor for each name; the third's last dimension is given. */
static const char *foreign(const char *const *names, size_t n, uint64_t last)
{
	const uint64_t all[][PFW_MAX_DIMS] = { { 2, 3 }, { 3 }, { 4, last },
					       { 1 }, { 1 } };
	const uint32_t n_dims[] = { 2, 1, 2, 1, 1 };
	uint64_t offsets[TINY_PARAMS + 2], bytes;
	char *header, *file;
	size_t len;

	CU_ASSERT_FATAL(!pfw_st_header(names, n_dims, all, n, &header, &len,
				       offsets, &bytes, NULL));
	file = calloc(1, bytes);
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	memcpy(file, header, len);
	tmp_write("model.safetensors", file, bytes);
	free(file);
	free(header);
	return tmp_dir;
}

/** Somewhere in the beginning of a file, words of the same length. */
static void change(const char *name, const char *from, const char *to)
{
	char *text, *at;
	size_t n;

	CU_ASSERT_FATAL(!pfw_file_load(tmp_path(name), 1 << 20, &text, &n, NULL));
	at = memmem(text, n, from, strlen(from));
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	memcpy(at, to, strlen(to));
	tmp_write(name, text, n);
	free(text);
}

static const char *weights_refusal(const char *dir)
{
	struct pfw_checkpoint_reader *r;

	err.text[0] = '\0';
	if (!pfw_checkpoint_open_reader(dir, &tiny_model, NULL, &r, &err))
		pfw_checkpoint_close_reader(r);
	return *err.text ? sentence() : "";
}

/* 25, 26: names and shapes are the model's, each once. */
static void foreign_weights(void)
{
	const char *names[] = { "w", "b", "old.e", "mask", "odd" };

	tmp_make();
	CU_ASSERT_STRING_EQUAL(weights_refusal(foreign(names, 3, 1)), "");
	CU_ASSERT_STRING_EQUAL(weights_refusal(foreign(names, 4, 1)), "");
	CU_ASSERT_STRING_EQUAL(weights_refusal(tmp_path("model.safetensors")), "");
	CU_ASSERT_STRING_EQUAL(weights_refusal(foreign(names, 5, 1)),
			       " tensor \"odd\" is no parameter of the model");
	CU_ASSERT_STRING_EQUAL(weights_refusal(foreign(names, 3, 2)),
			       " tensor \"old.e\" is 4 x 2, the model's is 4 x 1");
	CU_ASSERT_STRING_EQUAL(weights_refusal(foreign(names, 2, 1)),
			       " the parameter \"e\" is missing");
	foreign(names, 3, 1);
	change("model.safetensors", "F32", "I32");
	CU_ASSERT_STRING_EQUAL(weights_refusal(tmp_dir), " tensor \"b\" is "
			       "I32; F32, F16 and BF16 are read");
	names[3] = "e";
	CU_ASSERT_STRING_EQUAL(weights_refusal(foreign(names, 4, 1)),
			       " tensors \"e\" and \"old.e\" are the same parameter");
	tmp_remove();
}

static void config(void)
{
	char dir[PATH_MAX], stage[16] = "?", tokenizer[16] = "?";

	tmp_make();
	save(1);
	CU_ASSERT_FATAL(!pfw_checkpoint_model_dir(tmp_dir, dir, sizeof(dir), &err));
	CU_ASSERT_FATAL(!pfw_checkpoint_config(dir, stage, sizeof(stage), tokenizer,
					       sizeof(tokenizer), &err));
	CU_ASSERT_STRING_EQUAL(stage, "tiny");
	CU_ASSERT_STRING_EQUAL(tokenizer, "byte");
	CU_ASSERT_FATAL(!pfw_checkpoint_model_dir(tmp_path("model"), dir,
						  sizeof(dir), &err));
	CU_ASSERT_STRING_EQUAL(dir, tmp_path("model"));
	damage("model/config.json", "{}");
	CU_ASSERT_FATAL(!pfw_checkpoint_config(dir, stage, sizeof(stage), tokenizer,
					       sizeof(tokenizer), &err));
	CU_ASSERT_STRING_EQUAL(stage, "");
	CU_ASSERT_STRING_EQUAL(tokenizer, "");
	damage("model/config.json", "{\"n\":\n01}");
	CU_ASSERT_EQUAL(pfw_checkpoint_config(dir, stage, sizeof(stage), tokenizer,
					      sizeof(tokenizer), &err), -EINVAL);
	CU_ASSERT_STRING_EQUAL(sentence(),
			       "model/config.json: line 2, column 2: found '1' where ',' or '}' belongs");
	CU_ASSERT_EQUAL(pfw_checkpoint_model_dir(tmp_path("model/config.json"),
						 dir, sizeof(dir), &err),
			-ENOTDIR);
	tmp_remove();
}

static const struct unit_test tests[] = {
	{ "saved and read back", saved_and_read },
	{ "two are kept", two_are_kept },
	{ "equal bytes from two saves", equal_bytes },
	{ "a damaged latest one", damaged_latest },
	{ "refusals", refusals },
	{ "a flipped byte", a_flipped_byte },
	{ "a changed tensor", a_changed_tensor },
	{ "weights from elsewhere", foreign_weights },
	{ "config.json", config },
};

UNIT_MAIN("checkpoint", tests)
