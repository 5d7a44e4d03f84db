#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/thread.h"
#include "data/dataset.h"
#include "data/order.h"

/** One step's tokens. */
struct buffer {
	int32_t *tokens, *targets;
};

/*
 * Two buffers: the caller has one, the thread fills the other.  `filled` and
 * `wanted` count steps; the thread may fill step n (from 0) once wanted >= n,
 * that is, once the caller has asked for step n - 1 and so given back n - 2.
 */
struct pfw_loader {
	const struct pfw_dataset *set;
	struct pfw_loader_info info;
	uint64_t step_samples;
	struct buffer buffers[2];
	int32_t *window; /**< [seq + 1], the thread's */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t filled, wanted;
	int stop;
	struct pfw_error failed; /**< code 0: not */
};

static uint64_t position(const struct pfw_loader *ld, uint64_t sample)
{
	const struct pfw_split *s = &ld->set->splits[ld->info.split];
	uint64_t tokens = s->to - s->from;

	if (ld->info.split == PFW_SPLIT_TRAIN)
		return s->from + pfw_order_train(ld->info.seed, tokens,
						 ld->info.seq, sample);
	return s->from + pfw_order_even(tokens, ld->info.seq,
					sample % ld->info.samples,
					ld->info.samples);
}

static int fill(struct pfw_loader *ld, uint64_t step, struct pfw_error *err)
{
	const struct pfw_source *src = ld->set->splits[ld->info.split].source;
	struct buffer *buf = &ld->buffers[step % 2];
	uint64_t first = ld->info.first_sample + step * ld->step_samples;
	size_t seq = ld->info.seq;
	int rc = pfw_source_unchanged(src, err);

	if (rc)
		return rc;
	for (uint64_t i = 0; i < ld->step_samples; i++) {
		rc = pfw_source_read(src, position(ld, first + i), seq + 1,
				     ld->window, err);
		if (rc)
			return rc;
		memcpy(buf->tokens + i * seq, ld->window,
		       seq * sizeof(*ld->window));
		memcpy(buf->targets + i * seq, ld->window + 1,
		       seq * sizeof(*ld->window));
	}
	return 0;
}

static void *read_ahead(void *arg)
{
	struct pfw_loader *ld = arg;
	struct pfw_error err = { 0 };

	pthread_mutex_lock(&ld->lock);
	while (!ld->stop && !ld->failed.code) {
		uint64_t step = ld->filled;

		if (step > ld->wanted) {
			pthread_cond_wait(&ld->changed, &ld->lock);
			continue;
		}
		pthread_mutex_unlock(&ld->lock);
		fill(ld, step, &err);
		pthread_mutex_lock(&ld->lock);
		ld->failed = err;
		ld->filled = step + 1;
		pthread_cond_broadcast(&ld->changed);
	}
	pthread_mutex_unlock(&ld->lock);
	return NULL;
}

static int alloc_buffers(struct pfw_loader *ld, struct pfw_error *err)
{
	size_t n;

	if (__builtin_mul_overflow(ld->step_samples, ld->info.seq, &n) ||
	    n > SIZE_MAX / sizeof(int32_t))
		goto err_memory;
	for (int i = 0; i < 2; i++) {
		ld->buffers[i].tokens = malloc(n * sizeof(int32_t));
		ld->buffers[i].targets = malloc(n * sizeof(int32_t));
		if (!ld->buffers[i].tokens || !ld->buffers[i].targets)
			goto err_memory;
	}
	ld->window = calloc((size_t)ld->info.seq + 1, sizeof(int32_t));
	if (ld->window)
		return 0;
err_memory:
	return pfw_error_set(err, ENOMEM,
			     "no memory for two steps of %llu sequences of %u tokens",
			     (unsigned long long)ld->step_samples, ld->info.seq);
}

static void free_buffers(struct pfw_loader *ld)
{
	free(ld->window);
	for (int i = 0; i < 2; i++) {
		free(ld->buffers[i].tokens);
		free(ld->buffers[i].targets);
	}
}

static int start_thread(struct pfw_loader *ld, struct pfw_error *err)
{
	pthread_condattr_t attr;
	int rc;

	pthread_mutex_init(&ld->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&ld->changed, &attr);
	pthread_condattr_destroy(&attr);
	rc = pfw_thread_start(&ld->thread, read_ahead, ld);
	if (!rc)
		return 0;
	pthread_cond_destroy(&ld->changed);
	pthread_mutex_destroy(&ld->lock);
	return pfw_error_set(err, rc, "no thread to read data ahead: %s",
			     strerror(rc));
}

static int check_info(const struct pfw_dataset *set,
		      const struct pfw_loader_info *info, struct pfw_error *err)
{
	const struct pfw_split *s = &set->splits[info->split];

	if (!info->batch || !info->seq || !info->microbatches ||
	    (info->split == PFW_SPLIT_VALID && !info->samples))
		return pfw_error_set(err, EINVAL,
				     "a step of %u micro-batches of %u sequences of %u tokens holds nothing",
				     info->microbatches, info->batch, info->seq);
	if (s->from == s->to)
		return pfw_error_set(err, EINVAL,
				     "%s: no validation split: set data.validation or give a validation file",
				     set->main.path);
	if (s->to - s->from <= info->seq)
		return pfw_error_set(err, EINVAL,
				     "%s: %llu tokens hold no sequence of %u and the one after",
				     s->source->path,
				     (unsigned long long)(s->to - s->from),
				     info->seq);
	return 0;
}

int pfw_loader_open(const struct pfw_dataset *set,
		    const struct pfw_loader_info *info, struct pfw_loader **out,
		    struct pfw_error *err)
{
	struct pfw_loader *ld;
	int rc = check_info(set, info, err);

	if (rc)
		return rc;
	ld = calloc(1, sizeof(*ld));
	if (!ld)
		return pfw_error_set(err, ENOMEM, "out of memory");
	ld->set = set;
	ld->info = *info;
	ld->step_samples = (uint64_t)info->batch * info->microbatches;
	rc = alloc_buffers(ld, err);
	if (!rc)
		rc = start_thread(ld, err);
	if (rc) {
		free_buffers(ld);
		free(ld);
		return rc;
	}
	*out = ld;
	return 0;
}

void pfw_loader_close(struct pfw_loader *ld)
{
	if (!ld)
		return;
	pthread_mutex_lock(&ld->lock);
	ld->stop = 1;
	pthread_cond_broadcast(&ld->changed);
	pthread_mutex_unlock(&ld->lock);
	pthread_join(ld->thread, NULL);
	pthread_cond_destroy(&ld->changed);
	pthread_mutex_destroy(&ld->lock);
	free_buffers(ld);
	free(ld);
}

static int late(const struct pfw_loader *ld, struct pfw_error *err)
{
	return pfw_error_set(err, ETIMEDOUT,
			     "%s: the next batch did not come in time: the disk is too slow or gone",
			     ld->set->splits[ld->info.split].source->path);
}

int pfw_loader_next(struct pfw_loader *ld, uint64_t deadline,
		    const int32_t **tokens, const int32_t **targets,
		    struct pfw_error *err)
{
	struct timespec until = {
		.tv_sec = (time_t)(deadline / PFW_S),
		.tv_nsec = (long)(deadline % PFW_S),
	};
	const struct buffer *buf;
	int rc = 0;

	pthread_mutex_lock(&ld->lock);
	while (!ld->failed.code && ld->filled <= ld->wanted && !rc)
		rc = pthread_cond_timedwait(&ld->changed, &ld->lock, &until);
	if (ld->failed.code) {
		rc = pfw_error_set(err, ld->failed.code, "%s", ld->failed.text);
	} else if (ld->filled <= ld->wanted) {
		rc = late(ld, err);
	} else {
		rc = 0;
		buf = &ld->buffers[ld->wanted % 2];
		ld->wanted++;
		pthread_cond_broadcast(&ld->changed);
		*tokens = buf->tokens;
		*targets = buf->targets;
	}
	pthread_mutex_unlock(&ld->lock);
	return rc;
}
