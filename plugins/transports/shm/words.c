#include "words.h"

#include <errno.h>

/* More than any count, also as a signed number. */
#define ALL ((uint64_t)INT64_MAX)

_Static_assert(sizeof(_Atomic uint64_t) == sizeof(uint64_t),
	       "devices write plain words");

void shm_words_init(struct shm_words *w, void *at, uint32_t n_slots,
		    const struct pfw_device_ops *ops, void *device)
{
	*w = (struct shm_words){ .made = at, .n_slots = n_slots, .ops = ops,
				 .device = device };
	w->read = w->made + n_slots;
}

int shm_words_bind(struct shm_words *w, void *queue, struct pfw_error *err)
{
	const struct pfw_device_ops *ops = w->ops;
	int rc = 0;

	if (!ops->hold || !ops->pin)
		return pfw_error_set(err, ENOTSUP, "the device's queues wait for "
				     "no words");
	if (!w->pinned)
		rc = ops->pin(w->device, w->made, shm_words_bytes(w->n_slots),
			      err);
	if (rc)
		return -ENOTSUP;
	w->pinned = true;
	/* Of what is there already: can it? */
	rc = ops->hold(queue, (uint64_t *)w->made, 0, err);
	if (!rc)
		w->queue = queue;
	return rc;
}

void shm_words_let_go(struct shm_words *w, bool sending)
{
	_Atomic uint64_t *waits = sending ? w->read : w->made;

	for (uint32_t i = 0; w->queue && i < w->n_slots; i++)
		atomic_store(&waits[i], ALL);
}

void shm_words_free(struct shm_words *w)
{
	if (w->pinned)
		w->ops->unpin(w->device, w->made);
	w->pinned = false;
}

int shm_words_raise(struct shm_words *w, _Atomic uint64_t *word, uint64_t value,
		    struct pfw_error *err)
{
	if (w->queue)
		return w->ops->raise(w->queue, (uint64_t *)word, value, err);
	atomic_store_explicit(word, value, memory_order_release);
	return 0;
}

int shm_words_hold(struct shm_words *w, void *queue, _Atomic uint64_t *word,
		   uint64_t value, struct pfw_error *err)
{
	int rc;

	if (!w->queue)
		return shm_words_reached(word, value);
	rc = w->ops->hold(queue, (uint64_t *)word, value, err);
	return rc ? rc : 1;
}
