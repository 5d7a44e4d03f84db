#include "connect.h"
#include "peer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* What a struct pfw_address holds. */
struct address {
	uint64_t magic;
	uint32_t version;
	char name[44]; /* of the abstract socket, without the zero in front */
	char host[SHM_HOST_BYTES];
};

_Static_assert(sizeof(struct address) <=
	       sizeof(((struct pfw_address *)0)->bytes), "it must fit");

static socklen_t socket_name(const char *name, struct sockaddr_un *out)
{
	size_t len = strlen(name);

	memset(out, 0, sizeof(*out));
	out->sun_family = AF_UNIX;
	memcpy(out->sun_path + 1, name, len);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len);
}

static int new_socket(void)
{
	return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int random_name(char *out, size_t len)
{
	uint64_t r[2];

	if (getrandom(r, sizeof(r), 0) != (ssize_t)sizeof(r))
		return -EIO;
	snprintf(out, len, "pipefw-%016llx%016llx", (unsigned long long)r[0],
		 (unsigned long long)r[1]);
	return 0;
}

int shm_listener_open(struct shm_listener *l, const struct pfw_transport_info *info,
		      struct pfw_address *self, struct pfw_error *err)
{
	struct address a = { .magic = SHM_MAGIC, .version = SHM_VERSION };
	struct sockaddr_un name;
	socklen_t len;
	int rc;

	l->rank = info->rank;
	l->ranks = info->ranks;
	l->job = info->job;
	l->n_callers = 0;
	snprintf(l->host, sizeof(l->host), "%s", info->host ? info->host : "");
	memcpy(a.host, l->host, sizeof(a.host));
	l->socket = new_socket();
	if (l->socket < 0)
		return pfw_error_set(err, errno, "cannot make a unix socket: %s",
				     strerror(errno));
	rc = random_name(a.name, sizeof(a.name));
	if (rc) {
		pfw_error_set(err, -rc, "the kernel gives no random bytes");
		goto err_close;
	}
	len = socket_name(a.name, &name);
	if (bind(l->socket, (struct sockaddr *)&name, len) ||
	    listen(l->socket, SOMAXCONN)) {
		rc = pfw_error_set(err, errno, "cannot listen on a unix socket: %s",
				   strerror(errno));
		goto err_close;
	}
	self->len = sizeof(a);
	memcpy(self->bytes, &a, sizeof(a));
	return 0;

err_close:
	close(l->socket);
	return rc;
}

static void drop_caller(struct shm_listener *l, uint32_t i)
{
	l->n_callers--;
	memmove(&l->callers[i], &l->callers[i + 1],
		(l->n_callers - i) * sizeof(l->callers[0]));
}

static void hang_up(struct shm_listener *l, uint32_t i)
{
	close(l->callers[i].socket);
	drop_caller(l, i);
}

void shm_listener_close(struct shm_listener *l)
{
	while (l->n_callers)
		hang_up(l, l->n_callers - 1);
	close(l->socket);
}

/* A place for one more caller: the longest silent one makes room. */
static bool make_room(struct shm_listener *l)
{
	if (l->n_callers < SHM_CALLERS)
		return true;
	for (uint32_t i = 0; i < l->n_callers; i++)
		if (!l->callers[i].greeted) {
			hang_up(l, i);
			return true;
		}
	return false;
}

/* At most one table full: a flood of callers must not keep us here. */
static int accept_callers(struct shm_listener *l, struct pfw_error *err)
{
	for (uint32_t i = 0; i < SHM_CALLERS && make_room(l); i++) {
		int fd = accept4(l->socket, NULL, NULL,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EMFILE || errno == ENFILE))
			return pfw_error_set(err, errno, "too many open files to "
					     "take a caller: raise ulimit -n");
		if (fd < 0)
			break;
		if (shm_same_user(fd))
			l->callers[l->n_callers++] =
				(struct shm_caller){ .socket = fd };
		else
			close(fd);
	}
	return 0;
}

/* Takes a greeting that is fit to be looked at further; else why not. */
static const char *judge(const struct shm_listener *l, const struct shm_header *h)
{
	if (h->version != SHM_VERSION)
		return "it speaks another version of the shm transport";
	if (h->job != l->job)
		return "it belongs to another run (its job number differs)";
	if (h->to != l->rank || h->from >= l->ranks || h->from == l->rank)
		return "it is not the rank that was called";
	return NULL;
}

/* false: hang up. */
static bool hear(const struct shm_listener *l, struct shm_caller *c)
{
	struct shm_hello h;
	ssize_t n = recv(c->socket, &h, sizeof(h), MSG_DONTWAIT | MSG_TRUNC);
	const char *no;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (c->greeted || n != (ssize_t)sizeof(h) ||
	    h.header.magic != SHM_MAGIC)
		return false;
	no = judge(l, &h.header);
	if (no) {
		shm_reply_send(c->socket, EACCES, no, -1);
		return false;
	}
	c->wants = h;
	c->greeted = 1;
	return true;
}

static int listen_to_callers(struct shm_listener *l, struct pfw_error *err)
{
	int rc = accept_callers(l, err);

	for (uint32_t i = 0; i < l->n_callers;)
		if (hear(l, &l->callers[i]))
			i++;
		else
			hang_up(l, i);
	return rc;
}

static int refuse(int socket, const struct shm_header *own,
		  const struct shm_header *theirs, struct pfw_error *err)
{
	struct pfw_error e;

	pfw_error_set(&e, EPROTO, "%s channel %u -> %u: rank %u has %u slots of %llu "
		      "bytes, rank %u has %u of %llu%s", pfw_channel_kind_name(own->kind),
		      own->from, own->to, own->to, own->n_slots,
		      (unsigned long long)own->slot_bytes, own->from,
		      theirs->n_slots, (unsigned long long)theirs->slot_bytes,
		      own->n_slots == theirs->n_slots &&
		      own->slot_bytes == theirs->slot_bytes ?
		      ": they run different builds of pipefw" :
		      ": they run different plans");
	shm_reply_send(socket, e.code, e.text, -1);
	return pfw_error_set(err, e.code, "%s", e.text);
}

/* The caller's slots, as this end reaches them; what does not work the caller is
 * told, which will call again. */
static int borrow(const struct shm_caller *c, struct shm_lent *lent,
		  struct pfw_error *err)
{
	struct pfw_error e;
	int rc = shm_lent_borrow(lent, &c->wants.slots,
				 shm_is_this_process(c->socket), &e);

	if (!rc)
		return 0;
	shm_reply_send(c->socket, ENOTSUP, e.text, -1);
	return pfw_error_set(err, e.code, "%s", e.text);
}

/* One end has a device's memory, and one does not: then none. */
static int settle_memory(struct shm_listener *l, uint32_t i,
			 const struct shm_header *own, struct pfw_error *err)
{
	if (own->memory != PFW_MEM_HOST)
		return pfw_error_set(err, ENOTSUP, "rank %u " SHM_HOST_PEER,
				     own->from);
	shm_reply_send(l->callers[i].socket, ENOTSUP,
		       "the other end " SHM_HOST_PEER, -1);
	hang_up(l, i);
	return -EAGAIN;
}

static bool is_called(const struct shm_caller *c, const struct shm_header *own)
{
	return c->greeted && c->wants.header.from == own->from &&
	       c->wants.header.kind == own->kind;
}

int shm_answer(struct shm_listener *l, const struct shm_header *own, int memfd,
	       struct shm_lent *lent, int *out, struct pfw_error *err)
{
	int rc = listen_to_callers(l, err);
	struct shm_caller *c;
	uint32_t i = 0;

	if (rc)
		return rc;
	while (i < l->n_callers && !is_called(&l->callers[i], own))
		i++;
	if (i == l->n_callers)
		return -EAGAIN;
	c = &l->callers[i];
	if (c->wants.header.memory != own->memory)
		return settle_memory(l, i, own, err);
	if (memcmp(&c->wants.header, own, sizeof(*own)))
		rc = refuse(c->socket, own, &c->wants.header, err);
	else if (own->memory != PFW_MEM_HOST)
		rc = borrow(c, lent, err);
	if (rc) {
		hang_up(l, i);
		return rc;
	}
	*out = c->socket;
	if (shm_reply_send(c->socket, 0, "", memfd)) {
		/* It has hung up; it may call again. */
		shm_lent_free(lent);
		hang_up(l, i);
		*out = -1;
		return -EAGAIN;
	}
	drop_caller(l, i);
	return 0;
}

static int read_address(const struct pfw_address *in, struct address *out)
{
	if (in->len != sizeof(*out))
		return -EINVAL;
	memcpy(out, in->bytes, sizeof(*out));
	if (out->magic != SHM_MAGIC || out->version != SHM_VERSION ||
	    !memchr(out->name, 0, sizeof(out->name)) ||
	    !memchr(out->host, 0, sizeof(out->host)))
		return -EINVAL;
	return 0;
}

int shm_address_check(const struct shm_listener *l, const struct pfw_address *peer,
		      uint32_t rank, struct pfw_error *err)
{
	struct address a;

	if (read_address(peer, &a))
		return pfw_error_set(err, EINVAL, "the address of rank %u is not "
				     "one of this build's shm transport", rank);
	if (strcmp(a.host, l->host))
		return pfw_error_set(err, EINVAL, "rank %u is on host '%s', rank %u "
				     "on '%s': shm joins ranks of one host", rank,
				     a.host, l->rank, l->host);
	return 0;
}

static int dial(const struct pfw_address *peer, const struct shm_hello *own,
		int *out, struct pfw_error *err)
{
	struct sockaddr_un name;
	struct address a;
	socklen_t len;
	int fd, rc;

	if (read_address(peer, &a))
		return pfw_error_set(err, EINVAL, "not an address of shm");
	len = socket_name(a.name, &name);
	fd = new_socket();
	if (fd < 0)
		return pfw_error_set(err, errno, "cannot make a unix socket: %s",
				     strerror(errno));
	if (connect(fd, (struct sockaddr *)&name, len)) {
		rc = -errno;
		if (rc != -EAGAIN) /* else its queue of callers is full */
			pfw_error_set(err, -rc, "rank %u does not answer: it is "
				      "gone, or in another network namespace (%s)",
				      own->header.to, strerror(-rc));
		goto err_close;
	}
	if (!shm_same_user(fd)) {
		rc = pfw_error_set(err, EACCES, "the process that answers for rank "
				   "%u is another user's", own->header.to);
		goto err_close;
	}
	if (send(fd, own, sizeof(*own), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		rc = -EAGAIN; /* hung up on already: call again */
		goto err_close;
	}
	*out = fd;
	return 0;

err_close:
	close(fd);
	return rc;
}

int shm_call(const struct shm_listener *l, const struct pfw_address *peer,
	     const struct shm_hello *own, int *socket, int *memfd,
	     struct pfw_error *err)
{
	uint32_t to = own->header.to;
	struct shm_reply reply;
	int rc;

	if (*socket < 0) {
		rc = dial(peer, own, socket, err);
		if (rc)
			return rc;
	}
	rc = shm_reply_recv(*socket, &reply, memfd);
	if (rc == -ECONNRESET) {
		/* Hung up on to make room: call again, if it still listens. */
		close(*socket);
		*socket = -1;
		return -EAGAIN;
	}
	if (rc == -EPROTO)
		return pfw_error_set(err, EPROTO, "what answers for rank %u is not "
				     "the shm transport", to);
	if (!rc && reply.code)
		return pfw_error_set(err, reply.code, "rank %u refuses rank %u: %s",
				     to, l->rank, reply.text);
	return rc;
}
