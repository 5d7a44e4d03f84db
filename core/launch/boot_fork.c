/* Boot `fork`, a rank's side: a socket to the launcher, and a shared page. */
#include "launch/control.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

static struct pfw_boot_fork *of(struct pfw_boot *boot)
{
	return (struct pfw_boot_fork *)boot;
}

/* 0 when the launcher takes it, or errno; looks up for aborts. */
static int send_when_there_is_room(struct pfw_boot *boot,
				   const struct pfw_control_packet *packet)
{
	struct pollfd p = { .fd = of(boot)->fd, .events = POLLOUT };

	for (;;) {
		if (send(p.fd, packet, sizeof(*packet),
			 MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			return 0;
		if (errno != EAGAIN && errno != EINTR)
			return errno;
		if (boot->ops->aborted(boot))
			return ECANCELED;
		poll(&p, 1, 100);
	}
}

static int send_packet(struct pfw_boot *boot,
		       const struct pfw_control_packet *packet,
		       struct pfw_error *err)
{
	_Atomic uint32_t *held = &of(boot)->page->held;
	int code = 0;

	if (send(of(boot)->fd, packet, sizeof(*packet),
		 MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		atomic_fetch_add(held, 1);
		code = send_when_there_is_room(boot, packet);
		atomic_fetch_sub(held, 1);
	}
	if (code == ECANCELED)
		return pfw_error_set(err, ECANCELED, "another rank failed");
	if (code)
		return pfw_error_set(err, EPIPE,
				     "rank %u cannot reach the launcher: %s",
				     boot->rank, strerror(code));
	return 0;
}

static int key_set(struct pfw_control_packet *packet, const char *key,
		   struct pfw_error *err)
{
	if (strlen(key) >= sizeof(packet->key))
		return pfw_error_set(err, EINVAL, "boot key too long: %s", key);
	strcpy(packet->key, key);
	return 0;
}

/* Grows while any rank gets on. */
static uint64_t turns(const struct pfw_boot *boot)
{
	const struct pfw_boot_fork *b = (const struct pfw_boot_fork *)boot;
	uint64_t sum = atomic_load_explicit(&b->page->elsewhere,
					    memory_order_relaxed);

	for (uint32_t r = 0; r < boot->ranks; r++)
		sum += atomic_load_explicit(&b->page->status[r].turns,
					    memory_order_relaxed);
	return sum;
}

/* Waits in slices, so that an abort is seen. */
static int receive(struct pfw_boot *boot, struct pfw_control_packet *packet,
		   uint64_t deadline, struct pfw_error *err)
{
	struct pollfd p = { .fd = of(boot)->fd, .events = POLLIN };
	uint64_t last = pfw_now(), done = turns(boot), now, was;

	for (;;) {
		ssize_t n;

		if (poll(&p, 1, 100) > 0) {
			n = recv(p.fd, packet, sizeof(*packet), MSG_DONTWAIT);
			if (n == (ssize_t)sizeof(*packet))
				return 0;
			if (n >= 0 || (errno != EAGAIN && errno != EINTR))
				return pfw_error_set(err, EPIPE,
						     "the launcher is gone");
		}
		if (boot->ops->aborted(boot))
			return pfw_error_set(err, ECANCELED,
					     "another rank failed");
		now = pfw_now();
		was = done;
		done = turns(boot);
		if (boot->ops->held(boot) || done != was)
			deadline += now - last;
		last = now;
		if (now > deadline)
			return pfw_error_set(err, ETIMEDOUT,
					     "the other ranks did not come");
	}
}

static int fork_put(struct pfw_boot *boot, const char *key, const void *value,
		    size_t len, struct pfw_error *err)
{
	struct pfw_control_packet packet = { .type = PFW_CONTROL_PUT };

	if (len > sizeof(packet.value))
		return pfw_error_set(err, EMSGSIZE, "boot value %s too long", key);
	packet.len = (uint32_t)len;
	memcpy(packet.value, value, len);
	if (key_set(&packet, key, err))
		return -EINVAL;
	return send_packet(boot, &packet, err);
}

static int fork_get(struct pfw_boot *boot, const char *key, void *value,
		    size_t size, size_t *len, uint64_t deadline,
		    struct pfw_error *err)
{
	struct pfw_control_packet packet = { .type = PFW_CONTROL_GET };
	int rc = key_set(&packet, key, err);

	if (!rc)
		rc = send_packet(boot, &packet, err);
	if (!rc)
		rc = receive(boot, &packet, deadline, err);
	if (rc)
		return rc;
	if (packet.type != PFW_CONTROL_VALUE || packet.len > size)
		return pfw_error_set(err, EPROTO,
				     "the launcher's answer for %s is no value",
				     key);
	memcpy(value, packet.value, packet.len);
	*len = packet.len;
	return 0;
}

static int fork_fence(struct pfw_boot *boot, uint64_t deadline,
		      struct pfw_error *err)
{
	struct pfw_control_packet packet = { .type = PFW_CONTROL_FENCE };
	int rc = send_packet(boot, &packet, err);

	if (!rc)
		rc = receive(boot, &packet, deadline, err);
	if (!rc && packet.type != PFW_CONTROL_GO)
		rc = pfw_error_set(err, EPROTO,
				   "the launcher's answer to a fence is wrong");
	return rc;
}

static int fork_tell(struct pfw_boot *boot, const struct pfw_event *event,
		     struct pfw_error *err)
{
	struct pfw_control_packet packet = { .type = PFW_CONTROL_TELL };

	packet.len = sizeof(packet.event);
	packet.event = *event;
	packet.event.rank = boot->rank;
	return send_packet(boot, &packet, err);
}

static int fork_aborted(const struct pfw_boot *boot)
{
	const struct pfw_boot_fork *b = (const struct pfw_boot_fork *)boot;

	return atomic_load_explicit(&b->page->abort, memory_order_relaxed) != 0;
}

static int fork_stopping(const struct pfw_boot *boot)
{
	const struct pfw_boot_fork *b = (const struct pfw_boot_fork *)boot;

	return atomic_load_explicit(&b->page->stop, memory_order_relaxed) != 0;
}

static int fork_held(const struct pfw_boot *boot)
{
	const struct pfw_boot_fork *b = (const struct pfw_boot_fork *)boot;

	return atomic_load_explicit(&b->page->held, memory_order_relaxed) != 0;
}

static int64_t fork_clock_ahead(const struct pfw_boot *boot)
{
	const struct pfw_boot_fork *b = (const struct pfw_boot_fork *)boot;

	return atomic_load_explicit(&b->page->clock_ahead,
				    memory_order_relaxed);
}

static const struct pfw_boot_ops fork_ops = {
	.put = fork_put,
	.get = fork_get,
	.fence = fork_fence,
	.tell = fork_tell,
	.aborted = fork_aborted,
	.stopping = fork_stopping,
	.held = fork_held,
	.clock_ahead = fork_clock_ahead,
};

void pfw_boot_fork_init(struct pfw_boot_fork *boot,
			struct pfw_control_page *page, int fd, uint32_t rank,
			uint32_t threads, const struct pfw_place *place)
{
	*boot = (struct pfw_boot_fork){
		.boot = { .ops = &fork_ops, .rank = rank,
			  .ranks = place->ranks, .threads = threads,
			  .place = place,
			  .status = &page->status[rank] },
		.page = page,
		.fd = fd,
	};
}
