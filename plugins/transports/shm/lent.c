#include "lent.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

/* Of all channels of a rank together: peers that have come to their end give back
 * at once; who has not, is busy or has failed. */
#define PATIENCE_NS PFW_S

void shm_device_close(struct shm_device *d)
{
	if (d->copies)
		d->ops->close_queue(d->copies);
}

void shm_device_describe(const struct shm_device *d, char *out, size_t len)
{
	const char *in_place = d->n_in_place ? ", in place" : "";
	const char *copied = d->n_copied ? ", copied between cards" : "";
	const char *staging = *d->staged ? ", by staging: " : "";
	char text[sizeof(d->staged) + 64];

	snprintf(text, sizeof(text), "%s%s%s%s", in_place, copied, staging,
		 d->staged);
	*out = 0;
	if (*text)
		snprintf(out, len, "GPU memory %s", text + 2);
}

void shm_device_note(struct shm_device *d, const char *why)
{
	if (*d->staged && strstr(why, SHM_HOST_PEER))
		return;
	snprintf(d->staged, sizeof(d->staged), "%.250s", why);
}

/* What has failed once is not tried again: that would take memory each time. */
static int usable(const struct shm_device *d, struct pfw_error *err)
{
	return d->broken ? pfw_error_set(err, ENOTSUP, "%s", d->staged) : 0;
}

int shm_lent_init(struct shm_lent *l, struct shm_device *of,
		  const struct pfw_channel_info *info, uint64_t stride,
		  struct pfw_error *err)
{
	int rc = usable(of, err);

	if (rc)
		return rc;
	if (!info->device_ops->lend)
		return pfw_error_set(err, ENOTSUP, "the device lends no memory");
	of->ops = info->device_ops;
	of->device = info->device;
	*l = (struct shm_lent){ .of = of, .stride = stride,
				.bytes = stride * info->n_slots };
	return 0;
}

static int take(struct shm_lent *l, struct pfw_error *err)
{
	void *at;
	int rc = l->of->ops->alloc(l->of->device, l->bytes, &at, err);

	if (!rc)
		l->own = at;
	return rc;
}

int shm_lent_make(struct shm_lent *l, struct pfw_lent *out, struct pfw_error *err)
{
	int rc = take(l, err);

	if (!rc)
		rc = l->of->ops->lend(l->of->device, l->own, out, err);
	l->of->broken |= rc == -ENOTSUP;
	return rc;
}

/* Of another card: slots of its own, and a queue for the copies. */
static int open_far(struct shm_lent *l, struct pfw_error *err)
{
	const struct pfw_device_ops *ops = l->of->ops;
	int rc = take(l, err);

	if (!rc)
		rc = ops->open_event(l->of->device, &l->copied, err);
	if (!rc && !l->of->copies)
		rc = ops->open_queue(l->of->device, &l->of->copies, err);
	return rc;
}

int shm_lent_borrow(struct shm_lent *l, const struct pfw_lent *from, bool ours,
		    struct pfw_error *err)
{
	struct shm_device *d = l->of;
	int in_place, rc;
	void *at;

	/* A channel that was half open when another one failed. */
	rc = usable(d, err);
	if (rc)
		return rc;
	rc = d->ops->borrow(d->device, from, ours, &at, &in_place, err);
	d->broken |= rc == -ENOTSUP;
	if (rc)
		return rc;
	l->borrowed = at;
	rc = in_place ? 0 : open_far(l, err);
	if (rc)
		return rc;
	if (in_place)
		d->n_in_place++;
	else
		d->n_copied++;
	return 0;
}

void shm_lent_return(struct shm_lent *l)
{
	if (l->borrowed)
		l->of->ops->give_back(l->of->device, l->borrowed);
	l->borrowed = NULL;
}

/* All ranks close their channels in one order, so none waits for one that waits
 * for it. */
void shm_lent_await_return(struct shm_lent *l, int socket)
{
	struct pollfd p = { .fd = socket, .events = POLLRDHUP };
	struct shm_device *d = l->of;
	uint64_t from = pfw_now();

	if (d->waited >= PATIENCE_NS)
		return;
	poll(&p, 1, (int)((PATIENCE_NS - d->waited) / PFW_MS));
	d->waited += pfw_now() - from;
}

void shm_lent_free(struct shm_lent *l)
{
	if (!l->of)
		return;
	shm_lent_return(l);
	if (l->copied)
		l->of->ops->close_event(l->copied);
	if (l->own)
		l->of->ops->free(l->of->device, l->own);
	l->copied = NULL;
	l->own = NULL;
}

int shm_lent_copy(struct shm_lent *l, uint32_t slot, uint64_t bytes,
		  struct pfw_error *err)
{
	const struct pfw_device_ops *ops = l->of->ops;
	uint64_t at = slot * l->stride;
	int rc = ops->copy(l->of->copies, l->own + at, l->borrowed + at, bytes,
			   PFW_COPY_ON, err);

	return rc ? rc : ops->record(l->of->copies, l->copied, err);
}

int shm_lent_follow(struct shm_lent *l, void *queue, struct pfw_error *err)
{
	return l->of->ops->follow(queue, l->copied, err);
}

int shm_lent_is_copied(const struct shm_lent *l, struct pfw_error *err)
{
	return l->of->ops->query(l->copied, err);
}
