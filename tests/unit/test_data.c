#include "unit.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"
#include "data/data.h"
#include "data/order.h"
#include "tmpdir.h"

static struct pfw_tokenizer *byte_tokenizer(void)
{
	struct pfw_tokenizer *tok = NULL;

	CU_ASSERT_FATAL(!pfw_tokenizer_open("byte", NULL, &tok, NULL));
	return tok;
}

/** Opens and closes; the sentence without the folder's name, "" if taken. */
static const char *refusal(const char *path, const char *validation_path,
			   double validation, uint32_t vocab, uint32_t seq)
{
	static struct pfw_error err;
	struct pfw_tokenizer *tok = byte_tokenizer();
	struct pfw_dataset *set;
	size_t n = strlen(tmp_dir) + 1;

	err.text[0] = '\0';
	if (!pfw_dataset_open(path, validation_path, tok, validation, vocab, seq,
			      &set, &err))
		pfw_dataset_close(set);
	pfw_tokenizer_close(tok);
	return strncmp(err.text, tmp_dir, n - 1) ? err.text : err.text + n;
}

static void every_epoch_is_a_permutation(void)
{
	for (uint64_t tokens = 9; tokens < 4000; tokens = tokens * 3 / 2 + 1) {
		uint32_t seq = 8;
		uint64_t n = pfw_order_epoch(tokens, seq), bad = 0;
		char *seen = calloc(n, 1);

		CU_ASSERT_PTR_NOT_NULL_FATAL(seen);
		for (uint64_t epoch = 0; epoch < 5; epoch++) {
			uint64_t start = UINT64_MAX;

			memset(seen, 0, n);
			for (uint64_t i = 0; i < n; i++) {
				uint64_t at = pfw_order_train(7, tokens, seq,
							      epoch * n + i);

				if (start == UINT64_MAX)
					start = at % seq;
				bad += at + seq >= tokens || at % seq != start;
				seen[at / seq % n] = 1;
			}
			for (uint64_t i = 0; i < n; i++)
				bad += !seen[i];
		}
		CU_ASSERT_EQUAL(bad, 0);
		free(seen);
	}
}

static void epochs_and_seeds_differ(void)
{
	uint64_t tokens = 100001, same_epoch = 0, same_seed = 0, sorted = 0;
	uint64_t n = pfw_order_epoch(tokens, 10);

	for (uint64_t i = 0; i < n; i++) {
		uint64_t at = pfw_order_train(1, tokens, 10, i);

		same_epoch += at / 10 == pfw_order_train(1, tokens, 10, i + n) / 10;
		same_seed += at / 10 == pfw_order_train(2, tokens, 10, i) / 10;
		sorted += at / 10 == i;
	}
	/* one is expected of a random permutation */
	CU_ASSERT(same_epoch < 12 && same_seed < 12 && sorted < 12);
}

static void validation_is_spread_evenly(void)
{
	CU_ASSERT_EQUAL(pfw_order_even(129, 128, 0, 4), 0);
	CU_ASSERT_EQUAL(pfw_order_even(129, 128, 3, 4), 0);
	CU_ASSERT_EQUAL(pfw_order_even(1100, 100, 0, 10), 0);
	CU_ASSERT_EQUAL(pfw_order_even(1100, 100, 5, 10), 500);
	CU_ASSERT_EQUAL(pfw_order_even(1100, 100, 9, 10), 900);
	CU_ASSERT_EQUAL(pfw_order_even(UINT64_MAX, 1, 2, 4),
			(UINT64_MAX - 1) / 4 * 2 + 1);
}

/** Bytes 0, 1, ..., 255, 0, ...: a token tells where it came from. */
static const char *counting_file(const char *name, size_t len)
{
	unsigned char *data = malloc(len);
	const char *path;

	CU_ASSERT_PTR_NOT_NULL_FATAL(data);
	for (size_t i = 0; i < len; i++)
		data[i] = (unsigned char)i;
	path = tmp_write(name, data, len);
	free(data);
	return path;
}

static void info_of_a_text(void)
{
	struct pfw_tokenizer *tok = byte_tokenizer();
	struct pfw_dataset_info info, other;
	struct pfw_dataset *set;

	tmp_make();
	CU_ASSERT_FATAL(!pfw_dataset_open(counting_file("t", 2560), NULL, tok,
					  0.25, 256, 8, &set, NULL));
	pfw_dataset_info(set, &info);
	pfw_dataset_close(set);
	CU_ASSERT_EQUAL(info.tokens, 2560);
	CU_ASSERT_EQUAL(info.train_from, 0);
	CU_ASSERT_EQUAL(info.train_to, 1920);
	CU_ASSERT_EQUAL(info.valid_from, 1920);
	CU_ASSERT_EQUAL(info.valid_to, 2560);
	CU_ASSERT_EQUAL(info.epoch, 238);
	CU_ASSERT_STRING_EQUAL(info.format, "text");
	CU_ASSERT_DOUBLE_EQUAL(info.byte_entropy, log(256), 1e-12);
	CU_ASSERT_FATAL(!pfw_dataset_open(counting_file("u", 2561), tmp_path("t"),
					  tok, 0, 256, 8, &set, NULL));
	pfw_dataset_info(set, &other);
	pfw_dataset_close(set);
	CU_ASSERT_EQUAL(other.train_to, 2561);
	CU_ASSERT_EQUAL(other.valid_from, 0);
	CU_ASSERT_EQUAL(other.valid_to, 2560);
	CU_ASSERT_NOT_EQUAL(other.fingerprint, info.fingerprint);
	pfw_tokenizer_close(tok);
	tmp_remove();
}

static void refusals(void)
{
	tmp_make();
	CU_ASSERT_STRING_EQUAL(refusal(tmp_path("none"), NULL, 0, 256, 8),
			       "none: cannot open it: No such file or directory");
	CU_ASSERT_STRING_EQUAL(refusal(tmp_dir, NULL, 0, 256, 8),
			       " is a folder where a file is wanted");
	CU_ASSERT_FATAL(!mkfifo(tmp_path("fifo"), 0600));
	CU_ASSERT_STRING_EQUAL(refusal(tmp_path("fifo"), NULL, 0, 256, 8),
			       "fifo: is not a regular file");
	CU_ASSERT_STRING_EQUAL(refusal(tmp_write("empty", "", 0), NULL, 0, 256, 8),
			       "empty: is empty: name a text or token file as data.train");
	CU_ASSERT_STRING_EQUAL(refusal(counting_file("s", 20), NULL, 0.2, 256, 8),
			       "s: is too short as data.train: it has 20 tokens, 4 of them for validation (data.validation = 0.2), and one sequence needs 9 (the context and the one after): use a longer file or a smaller model.context");
	CU_ASSERT_STRING_EQUAL(refusal(tmp_path("s"), NULL, 0.8, 256, 8),
			       "s: is too short as data.train: it has 20 tokens, 4 of them for training (data.validation = 0.8), and one sequence needs 9 (the context and the one after): use a longer file or a smaller model.context");
	CU_ASSERT_STRING_EQUAL(refusal(tmp_path("s"), NULL, NAN, 256, 8) + 12,
			       " nan: a share of the tokens from 0 to below 1");
	CU_ASSERT_STRING_EQUAL(refusal(counting_file("v", 300), NULL, 0, 200, 8),
			       "v: byte 0xc8 at position 200 is not below model.vocab = 200: bytes want 256");
	CU_ASSERT_STRING_EQUAL(refusal(tmp_path("v"), tmp_path("s"), 0, 256, 20),
			       "s: is too short as data.validation_file: it has 20 tokens, and one sequence needs 21 (the context and the one after): use a longer file or a smaller model.context");
	CU_ASSERT_STRING_EQUAL(refusal(counting_file("odd.bin", 21), NULL, 0, 256, 8),
			       "odd.bin: has 21 bytes, but a .bin of 2-byte tokens has an even number (a text file must not be called .bin)");
	CU_ASSERT_STRING_EQUAL(refusal(counting_file("e.bin", 40), NULL, 0, 1000, 8),
			       "e.bin: token 1284 at position 2 is not below model.vocab = 1000");
	tmp_remove();
}

/** An llm.c file: magic, version, count, then @p tokens of @p width bytes. */
static const char *llmc_file(const char *name, uint32_t magic, uint32_t version,
			     uint32_t count, uint32_t tokens, uint32_t width)
{
	uint32_t header[256] = { magic, version, count }, token;
	unsigned char data[1024 + 4 * 64];

	memcpy(data, header, 1024);
	for (uint32_t i = 0; i < tokens; i++) {
		token = 1000 + i;
		memcpy(data + 1024 + i * width, &token, width);
	}
	return tmp_write(name, data, 1024 + tokens * width);
}

static void llmc_files(void)
{
	tmp_make();
	CU_ASSERT_STRING_EQUAL(refusal(llmc_file("a", 20240520, 1, 40, 40, 2),
				       NULL, 0, 1040, 39), "");
	CU_ASSERT_STRING_EQUAL(refusal(llmc_file("a", 20240801, 7, 40, 40, 4),
				       NULL, 0, 1040, 39), "");
	CU_ASSERT_STRING_EQUAL(refusal(tmp_path("a"), NULL, 0, 1039, 39),
			       "a: token 1039 at position 39 is not below model.vocab = 1039");
	CU_ASSERT_STRING_EQUAL(refusal(llmc_file("b", 20240520, 2, 40, 40, 2),
				       NULL, 0, 2000, 8),
			       "b: llm.c tokens of version 2, with magic 20240520 only version 1 is known");
	CU_ASSERT_STRING_EQUAL(refusal(llmc_file("c", 20240520, 1, 41, 40, 2),
				       NULL, 0, 2000, 8),
			       "c: its header tells of 41 tokens, which makes 1106 bytes, but the file has 1104");
	CU_ASSERT_STRING_EQUAL(refusal(llmc_file("c", 20240801, 7, UINT32_MAX, 40, 4),
				       NULL, 0, 2000, 8),
			       "c: its header tells of 4294967295 tokens, which makes 17179870204 bytes, but the file has 1184");
	CU_ASSERT_FATAL(!truncate(tmp_path("a"), 100));
	CU_ASSERT_STRING_EQUAL(refusal(tmp_path("a"), NULL, 0, 2000, 8),
			       "a: has llm.c's magic number, but only 100 of its header's 1024 bytes");
	tmp_remove();
}

static uint64_t soon(void)
{
	return pfw_now() + 20 * PFW_S;
}

/** Steps of the loader are what the order says, wherever it starts. */
static void batches_follow_the_order(void)
{
	struct pfw_loader_info info = { .seed = 3, .batch = 3, .seq = 7,
					.microbatches = 2, .first_sample = 11 };
	struct pfw_tokenizer *tok = byte_tokenizer();
	const int32_t *tokens, *targets;
	struct pfw_dataset *set;
	struct pfw_loader *ld;
	uint64_t bad = 0;

	tmp_make();
	CU_ASSERT_FATAL(!pfw_dataset_open(counting_file("t", 200), NULL, tok, 0,
					  256, 7, &set, NULL));
	CU_ASSERT_FATAL(!pfw_loader_open(set, &info, &ld, NULL));
	for (uint64_t step = 0; step < 20; step++) {
		CU_ASSERT_FATAL(!pfw_loader_next(ld, soon(), &tokens, &targets,
						 NULL));
		for (uint64_t i = 0; i < 6 * 7; i++) {
			uint64_t at = pfw_order_train(3, 200, 7, 11 + step * 6 +
						      i / 7) + i % 7;

			bad += tokens[i] != (int32_t)at ||
			       targets[i] != (int32_t)at + 1;
		}
	}
	CU_ASSERT_EQUAL(bad, 0);
	pfw_loader_close(ld);
	pfw_dataset_close(set);
	pfw_tokenizer_close(tok);
	tmp_remove();
}

static void evaluations_are_alike(void)
{
	struct pfw_loader_info info = { .batch = 2, .seq = 4, .microbatches = 1,
					.samples = 6, .split = PFW_SPLIT_VALID };
	struct pfw_tokenizer *tok = byte_tokenizer();
	const int32_t *tokens, *targets;
	struct pfw_dataset *set;
	struct pfw_loader *ld;

	tmp_make();
	CU_ASSERT_FATAL(!pfw_dataset_open(counting_file("t", 200), NULL, tok, 0.5,
					  256, 4, &set, NULL));
	CU_ASSERT_FATAL(!pfw_loader_open(set, &info, &ld, NULL));
	for (int step = 0; step < 7; step++) {
		CU_ASSERT_FATAL(!pfw_loader_next(ld, soon(), &tokens, &targets,
						 NULL));
		CU_ASSERT_EQUAL(tokens[0], 100 + step % 3 * 2 * 16);
		CU_ASSERT_EQUAL(tokens[4], 100 + step % 3 * 2 * 16 + 16);
		CU_ASSERT_EQUAL(targets[7], tokens[7] + 1);
	}
	pfw_loader_close(ld);
	pfw_dataset_close(set);
	pfw_tokenizer_close(tok);
	tmp_remove();
}

/** Whoever holds it has the disk stand still. */
static pthread_mutex_t disk = PTHREAD_MUTEX_INITIALIZER;

ssize_t __real_pread(int fd, void *buf, size_t n, off_t at);
ssize_t __wrap_pread(int fd, void *buf, size_t n, off_t at);
ssize_t __wrap_pread(int fd, void *buf, size_t n, off_t at)
{
	pthread_mutex_lock(&disk);
	pthread_mutex_unlock(&disk);
	return __real_pread(fd, buf, n, at);
}

/** A disk that stands still is an error in time; when it goes on, so do we. */
static void a_disk_stands_still(void)
{
	struct pfw_loader_info info = { .seed = 5, .batch = 1, .seq = 8,
					.microbatches = 1 };
	struct pfw_tokenizer *tok = byte_tokenizer();
	const int32_t *tokens = NULL, *targets = NULL;
	struct pfw_error err = { 0 };
	struct pfw_dataset *set;
	struct pfw_loader *ld;

	tmp_make();
	CU_ASSERT_FATAL(!pfw_dataset_open(counting_file("t", 200), NULL, tok, 0,
					  256, 8, &set, NULL));
	pthread_mutex_lock(&disk);
	CU_ASSERT_FATAL(!pfw_loader_open(set, &info, &ld, NULL));
	CU_ASSERT_EQUAL(pfw_loader_next(ld, 0, &tokens, &targets, &err),
			-ETIMEDOUT);
	CU_ASSERT_EQUAL(pfw_loader_next(ld, pfw_now() + 20 * PFW_MS, &tokens,
					&targets, &err), -ETIMEDOUT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "t: the next batch did not "
				      "come in time"));
	CU_ASSERT_PTR_NULL(tokens);
	pthread_mutex_unlock(&disk);
	for (uint64_t step = 0; step < 3; step++) {
		CU_ASSERT_FATAL(!pfw_loader_next(ld, soon(), &tokens, &targets,
						 NULL));
		CU_ASSERT_EQUAL(tokens[0], (int32_t)pfw_order_train(5, 200, 8,
								    step));
	}
	pfw_loader_close(ld);
	pfw_dataset_close(set);
	pfw_tokenizer_close(tok);
	tmp_remove();
}

/** The file changes under the loader: an error, again at each call. */
static void change(off_t size, const char *sentence)
{
	struct pfw_loader_info info = { .batch = 1, .seq = 8, .microbatches = 1 };
	struct pfw_tokenizer *tok = byte_tokenizer();
	const int32_t *tokens, *targets;
	struct pfw_dataset *set;
	struct pfw_loader *ld;
	struct pfw_error err;
	int rc = 0;

	CU_ASSERT_FATAL(!pfw_dataset_open(counting_file("t", 100), NULL, tok, 0,
					  256, 8, &set, NULL));
	CU_ASSERT_FATAL(!pfw_loader_open(set, &info, &ld, NULL));
	CU_ASSERT_FATAL(!pfw_loader_next(ld, soon(), &tokens, &targets, NULL));
	CU_ASSERT_FATAL(!truncate(tmp_path("t"), size));
	for (int i = 0; i < 3 && !rc; i++)
		rc = pfw_loader_next(ld, soon(), &tokens, &targets, &err);
	CU_ASSERT_EQUAL(rc, -ESTALE);
	CU_ASSERT_STRING_EQUAL(err.text + strlen(tmp_dir) + 1, sentence);
	err.text[0] = '\0';
	CU_ASSERT_EQUAL(pfw_loader_next(ld, soon(), &tokens, &targets, &err),
			-ESTALE);
	CU_ASSERT_STRING_EQUAL(err.text + strlen(tmp_dir) + 1, sentence);
	pfw_loader_close(ld);
	pfw_dataset_close(set);
	pfw_tokenizer_close(tok);
}

static void changes_while_in_use(void)
{
	tmp_make();
	change(50, "t: had 100 bytes and has 50 now: it was changed while in use");
	change(101, "t: had 100 bytes and has 101 now: it was changed while in use");
	tmp_remove();
}

static void loader_refusals(void)
{
	struct pfw_loader_info info = { .batch = 1, .seq = 8, .microbatches = 1,
					.samples = 1, .split = PFW_SPLIT_VALID };
	struct pfw_tokenizer *tok = byte_tokenizer();
	struct pfw_dataset *set;
	struct pfw_loader *ld;
	struct pfw_error err;

	tmp_make();
	CU_ASSERT_FATAL(!pfw_dataset_open(counting_file("t", 100), NULL, tok, 0,
					  256, 8, &set, NULL));
	CU_ASSERT_EQUAL(pfw_loader_open(set, &info, &ld, &err), -EINVAL);
	CU_ASSERT_STRING_EQUAL(err.text + strlen(tmp_dir) + 1,
			       "t: no validation split: set data.validation or give a validation file");
	info.split = PFW_SPLIT_TRAIN;
	info.seq = 100;
	CU_ASSERT_EQUAL(pfw_loader_open(set, &info, &ld, &err), -EINVAL);
	info.seq = 0;
	CU_ASSERT_EQUAL(pfw_loader_open(set, &info, &ld, &err), -EINVAL);
	info.seq = 99;
	info.batch = info.microbatches = UINT32_MAX;
	CU_ASSERT_EQUAL(pfw_loader_open(set, &info, &ld, &err), -ENOMEM);
	pfw_dataset_close(set);
	pfw_tokenizer_close(tok);
	tmp_remove();
}

static const struct unit_test tests[] = {
	{ "every epoch is a permutation", every_epoch_is_a_permutation },
	{ "epochs and seeds differ", epochs_and_seeds_differ },
	{ "validation is spread evenly", validation_is_spread_evenly },
	{ "what a text holds", info_of_a_text },
	{ "refusals", refusals },
	{ "llm.c files", llmc_files },
	{ "batches follow the order", batches_follow_the_order },
	{ "evaluations are alike", evaluations_are_alike },
	{ "a disk that stands still", a_disk_stands_still },
	{ "a file that changes while in use", changes_while_in_use },
	{ "loader refusals", loader_refusals },
};

UNIT_MAIN("data", tests)
