/*
 * example: a transport.  A channel is a file in memory that both ends map: the
 * sender's stage writes a slot, the receiver's stage reads it where it lies, and
 * what travels is a word that says so.
 *
 * It is short and right, for ranks of one machine.  <pipefw/transport.h> has the
 * contract; what makes another transport is here
 *
 *    open_channel()  how two ends find each other
 *    send(), recv()  how bytes get from one to the other
 *    wait()          how who waits is woken
 *    gone()          how a dead peer is known
 *
 * and what this one leaves out is speed: wait() could look for info.spin_ns before
 * it sleeps, and tell() need not wake where nobody sleeps.
 */
#define PFW_PLUGIN_VERSION "0.1"
#include <pipefw/transport.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_SLOTS 256u
#define MAX_BYTES (1ull << 36)
/* A peer's death wakes nobody: who sleeps looks around as often as this. */
#define LOOK_NS 10000000u

/* States of a file: 0 until the receiver has filled it. */
#define READY 1u
#define OPEN 2u
#define REFUSED 3u

struct message {
	uint64_t bytes;
	uint32_t slot;
	struct pfw_message_id id;
};

/* The beginning of the file; the slots follow. */
struct shared {
	uint32_t state, n_slots;
	uint64_t slot_bytes;
	int32_t pid[2];              /* of the receiver, of the sender */
	uint32_t news;               /* counts whatever may end a wait() */
	uint32_t busy[MAX_SLOTS];    /* 1 from send() to release() */
	uint64_t sent;
	struct message ring[MAX_SLOTS]; /* the m-th message at m % n_slots */
};

#define SLOTS_AT ((sizeof(struct shared) + PFW_ALIGN - 1) / PFW_ALIGN * PFW_ALIGN)

/* What is in a struct pfw_address; the number says whose it is: take another. */
#define MAGIC 0x2f6d656d2f66696cull
struct address {
	uint64_t magic, job, nonce;
	uint32_t rank;
};

struct channel {
	struct pfw_channel_info info;
	int fd;
	char path[128];
	struct shared *shared; /* NULL: not mapped yet */
	size_t mapped;
	unsigned char mine[MAX_SLOTS]; /* acquired, or received */
	uint64_t received;
	int dead;              /* wait() has told of it */
	struct pfw_channel_stats stats;
};

/* An older core knows less of a struct than this plugin. */
static void copy_out(void *out, size_t size, void *from, size_t from_size)
{
	memcpy(from, &size, sizeof(size));
	memcpy(out, from, size < from_size ? size : from_size);
}

static void props(const struct pfw_values *opt, struct pfw_transport_props *out)
{
	struct pfw_transport_props p = {
		.order = PFW_ORDER_CHANNEL,
		.receive = PFW_RECEIVE_EARLY,
		.memory = PFW_MEM_HOST,
		.shared_slots = 1,
		.max_slots = MAX_SLOTS,
		.max_bytes = MAX_BYTES,
		.latency = 10000,
	};

	(void)opt;
	copy_out(out, out->size, &p, sizeof(p));
}

static int open_transport(const struct pfw_values *opt,
			  const struct pfw_transport_info *info,
			  const struct pfw_below *below, void **transport,
			  struct pfw_address *self, struct pfw_error *err)
{
	struct address *a = calloc(1, sizeof(*a));

	(void)opt;
	(void)below;
	if (!a)
		return pfw_error_set(err, ENOMEM, "no memory for a transport");
	a->magic = MAGIC;
	a->job = info->job;
	a->rank = info->rank;
	if (getrandom(&a->nonce, sizeof(a->nonce), 0) != sizeof(a->nonce)) {
		free(a);
		return pfw_error_set(err, EIO, "no random number for a name");
	}
	self->len = sizeof(*a);
	memcpy(self->bytes, a, sizeof(*a));
	*transport = a;
	return 0;
}

static void close_transport(void *transport)
{
	free(transport);
}

/* An address comes from elsewhere: nothing in it is believed. */
static int read_peer(const struct address *self, const struct pfw_address *peer,
		     struct address *out, struct pfw_error *err)
{
	if (peer->len == sizeof(*out))
		memcpy(out, peer->bytes, sizeof(*out));
	if (peer->len != sizeof(*out) || out->magic != MAGIC)
		return pfw_error_set(err, EINVAL, "the peer's address is none of "
				     "this transport's: use it on all ranks");
	if (out->job != self->job)
		return pfw_error_set(err, EINVAL, "rank %u belongs to another "
				     "run", out->rank);
	return 0;
}

static int new_channel(const struct pfw_channel_info *info, uint64_t nonce,
		       struct channel **out, struct pfw_error *err)
{
	struct channel *c;

	if (!info->n_slots || info->n_slots > MAX_SLOTS ||
	    info->slot_bytes > MAX_BYTES)
		return pfw_error_set(err, EINVAL, "%u slots of %llu bytes: there "
				     "may be %u, of %llu", info->n_slots,
				     (unsigned long long)info->slot_bytes,
				     MAX_SLOTS, MAX_BYTES);
	c = calloc(1, sizeof(*c));
	if (!c)
		return pfw_error_set(err, ENOMEM, "no memory for a channel");
	c->info = *info;
	c->fd = -1;
	c->mapped = SLOTS_AT + (size_t)info->n_slots * info->slot_bytes;
	snprintf(c->path, sizeof(c->path), "/dev/shm/example-%016llx-%u-%u-%u",
		 (unsigned long long)nonce, info->from, info->to, info->kind);
	*out = c;
	return 0;
}

/* Each end has a lock on a byte of its own, which ends with the process. */
static struct flock lock_of(uint32_t sending)
{
	return (struct flock){
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = sending,
		.l_len = 1,
	};
}

static int gone(const struct channel *c)
{
	struct flock l = lock_of(!c->info.sending);

	return !fcntl(c->fd, F_OFD_GETLK, &l) && l.l_type == F_UNLCK;
}

static int map(struct channel *c, struct pfw_error *err)
{
	struct flock l = lock_of(c->info.sending);
	void *at = mmap(NULL, c->mapped, PROT_READ | PROT_WRITE, MAP_SHARED,
			c->fd, 0);

	if (at == MAP_FAILED || fcntl(c->fd, F_OFD_SETLK, &l))
		return pfw_error_set(err, errno, "%s: %s", c->path,
				     strerror(errno));
	c->shared = at;
	c->shared->pid[c->info.sending] = getpid();
	return 0;
}

/* The receiver makes the file, and waits for the sender to join. */
static int offer(struct channel *c, struct pfw_error *err)
{
	uint32_t state;
	int rc;

	if (c->fd < 0) {
		c->fd = open(c->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
			     0600);
		rc = c->fd < 0 ? errno : posix_fallocate(c->fd, 0,
							 (off_t)c->mapped);
		if (rc)
			return pfw_error_set(err, rc, "%s: %zu bytes: %s",
					     c->path, c->mapped, strerror(rc));
		rc = map(c, err);
		if (rc)
			return rc;
		c->shared->n_slots = c->info.n_slots;
		c->shared->slot_bytes = c->info.slot_bytes;
		__atomic_store_n(&c->shared->state, READY, __ATOMIC_RELEASE);
	}
	if (!c->shared)
		return pfw_error_set(err, EINVAL, "%s could not be made", c->path);
	state = __atomic_load_n(&c->shared->state, __ATOMIC_ACQUIRE);
	if (state == REFUSED)
		return pfw_error_set(err, EINVAL, "rank %u has another plan of "
				     "this channel than %u slots of %llu bytes",
				     c->info.from, c->info.n_slots,
				     (unsigned long long)c->info.slot_bytes);
	return state == OPEN ? 0 : -EAGAIN;
}

/* The sender looks whether it is there, and what the receiver's plan says. */
static int join(struct channel *c, struct pfw_error *err)
{
	const uint32_t refused = REFUSED;
	struct shared head;
	struct stat st;
	int rc;

	if (c->fd < 0)
		c->fd = open(c->path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (c->fd < 0 && errno == ENOENT)
		return -EAGAIN;
	if (c->fd < 0 || fstat(c->fd, &st) || st.st_uid != geteuid())
		return pfw_error_set(err, EINVAL, "%s cannot be used: %s",
				     c->path, strerror(errno));
	if (pread(c->fd, &head, sizeof(head), 0) != sizeof(head) ||
	    head.state != READY)
		return -EAGAIN;
	if (head.n_slots != c->info.n_slots ||
	    head.slot_bytes != c->info.slot_bytes) {
		if (pwrite(c->fd, &refused, sizeof(refused), 0) < 0)
			return -EAGAIN;
		return pfw_error_set(err, EINVAL, "%u slots of %llu bytes here, "
			"%u of %llu at rank %u", c->info.n_slots,
			(unsigned long long)c->info.slot_bytes, head.n_slots,
			(unsigned long long)head.slot_bytes, c->info.to);
	}
	rc = map(c, err);
	if (rc)
		return rc;
	unlink(c->path);
	__atomic_store_n(&c->shared->state, OPEN, __ATOMIC_RELEASE);
	return 0;
}

static int open_channel(void *transport, const struct pfw_channel_info *info,
			const struct pfw_address *peer, void **channel,
			struct pfw_error *err)
{
	const struct address *self = transport;
	struct channel *c = *channel;
	struct address other;
	int rc = read_peer(self, peer, &other, err);

	/* The receiver's number names the file: no run before has had it. */
	if (!rc && !c)
		rc = new_channel(info, info->sending ? other.nonce : self->nonce,
				 &c, err);
	if (rc)
		return rc;
	*channel = c;
	return info->sending ? join(c, err) : offer(c, err);
}

static void close_channel(void *channel)
{
	struct channel *c = channel;

	if (!c)
		return;
	if (c->fd >= 0 && !c->info.sending)
		unlink(c->path);
	if (c->shared)
		munmap(c->shared, c->mapped);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}

static void *slot_at(void *channel, uint32_t slot)
{
	struct channel *c = channel;

	return (char *)c->shared + SLOTS_AT + slot * c->info.slot_bytes;
}

/* Whoever sleeps in wait() looks again. */
static void tell(struct channel *c)
{
	__atomic_fetch_add(&c->shared->news, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &c->shared->news, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static int is_busy(const struct channel *c, uint32_t slot)
{
	return __atomic_load_n(&c->shared->busy[slot], __ATOMIC_ACQUIRE) != 0;
}

static int has_message(const struct channel *c)
{
	return __atomic_load_n(&c->shared->sent, __ATOMIC_ACQUIRE) > c->received;
}

static int acquire(void *channel, uint32_t slot, struct pfw_error *err)
{
	struct channel *c = channel;

	if (slot >= c->info.n_slots)
		return pfw_error_set(err, EINVAL, "slot %u; there are %u", slot,
				     c->info.n_slots);
	if (is_busy(c, slot))
		return -EAGAIN;
	c->mine[slot] = 1;
	return 0;
}

static int send_slot(void *channel, uint32_t slot, uint64_t bytes,
		     const struct pfw_message_id *id, struct pfw_error *err)
{
	struct channel *c = channel;
	struct shared *sh = c->shared;
	uint64_t m = sh->sent; /* nobody else writes it */

	if (slot >= c->info.n_slots || !c->mine[slot])
		return pfw_error_set(err, EINVAL, "slot %u is sent without "
				     "acquire()", slot);
	if (bytes > c->info.slot_bytes)
		return pfw_error_set(err, EMSGSIZE, "%llu bytes in a slot of %llu",
				     (unsigned long long)bytes,
				     (unsigned long long)c->info.slot_bytes);
	c->mine[slot] = 0;
	sh->ring[m % c->info.n_slots] = (struct message){ bytes, slot, *id };
	__atomic_store_n(&sh->busy[slot], 1, __ATOMIC_RELAXED);
	__atomic_store_n(&sh->sent, m + 1, __ATOMIC_RELEASE);
	tell(c);
	c->stats.messages++;
	c->stats.bytes += bytes;
	return 0;
}

static int recv_slot(void *channel, uint32_t *slot, uint64_t *bytes,
		     struct pfw_message_id *id, struct pfw_error *err)
{
	struct channel *c = channel;
	struct message got;

	if (!has_message(c))
		return -EAGAIN;
	got = c->shared->ring[c->received % c->info.n_slots];
	if (got.slot >= c->info.n_slots || got.bytes > c->info.slot_bytes)
		return pfw_error_set(err, EBADMSG, "rank %u has sent nonsense",
				     c->info.from);
	c->received++;
	c->mine[got.slot] = 1;
	c->stats.messages++;
	c->stats.bytes += got.bytes;
	*slot = got.slot;
	*bytes = got.bytes;
	*id = got.id;
	return 0;
}

static int release(void *channel, uint32_t slot, struct pfw_error *err)
{
	struct channel *c = channel;

	if (slot >= c->info.n_slots || !c->mine[slot])
		return pfw_error_set(err, EINVAL, "slot %u is released and holds "
				     "no message", slot);
	c->mine[slot] = 0;
	__atomic_store_n(&c->shared->busy[slot], 0, __ATOMIC_RELEASE);
	tell(c);
	return 0;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The word is read before anything is looked at: what changes later is seen by
 * the futex, which then does not sleep. */
static int wait_for(void *channel, uint32_t slot, uint64_t deadline)
{
	struct channel *c = channel;
	struct timespec nap = { 0 };
	uint64_t at;
	uint32_t seen;

	for (;;) {
		seen = __atomic_load_n(&c->shared->news, __ATOMIC_SEQ_CST);
		if (c->info.sending ? !is_busy(c, slot) : has_message(c))
			return 0;
		if (!c->dead && gone(c)) {
			c->dead = 1;
			return 0;
		}
		at = now();
		if (at >= deadline)
			return -ETIMEDOUT;
		nap.tv_nsec = (long)(deadline - at < LOOK_NS ? deadline - at
							     : LOOK_NS);
		syscall(SYS_futex, &c->shared->news, FUTEX_WAIT, seen, &nap,
			NULL, 0);
		c->stats.sleeps++;
	}
}

static int check_peer(void *channel, struct pfw_error *err)
{
	struct channel *c = channel;

	if (!gone(c))
		return 0;
	return pfw_error_set(err, EPIPE, "process %d of rank %u is gone, or has "
			     "closed the channel",
			     (int)c->shared->pid[!c->info.sending],
			     c->info.sending ? c->info.to : c->info.from);
}

static void stats(void *channel, struct pfw_channel_stats *out)
{
	struct channel *c = channel;

	copy_out(out, out->size, &c->stats, sizeof(c->stats));
}

static const struct pfw_transport_ops ops = {
	.size = sizeof(ops),
	.props = props,
	.open = open_transport,
	.close = close_transport,
	.open_channel = open_channel,
	.close_channel = close_channel,
	.slot = slot_at,
	.acquire = acquire,
	.send = send_slot,
	.recv = recv_slot,
	.release = release,
	.wait = wait_for,
	.check = check_peer,
	.stats = stats,
};

PFW_PLUGIN(.kind = PFW_KIND_TRANSPORT, .thread_model = PFW_THREAD_OBJECT,
	   .name = "example", .summary = "files in memory, for ranks of one machine",
	   .ops = &ops);
