#include "conform/transport_kit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "settings/config.h"

void pfw_trial_gives(struct pfw_trial *t, const char *call, int got, int wanted,
		     const struct pfw_error *err)
{
	int words = err && got < 0 && got != -EAGAIN && err->text[0];

	if (got != wanted)
		pfw_trial_refuse(t, "%s gives %s, not %s%s%s", call,
				 pfw_trial_code(got), pfw_trial_code(wanted),
				 words ? ": " : "", words ? err->text : "");
}

/* Asked in a process of its own: see pfw_child_start(). */
static int can_run(const struct pfw_transport_ops *ops, char *why, size_t len)
{
	int fd[2], status = 1;
	ssize_t n;
	pid_t pid;

	*why = '\0';
	if (!ops->probe)
		return 1;
	if (pipe(fd))
		return 0;
	pid = fork();
	if (pid == 0) {
		status = ops->probe(why, len);
		_exit(write(fd[1], why, strlen(why)) < 0 || status);
	}
	close(fd[1]);
	n = read(fd[0], why, len - 1);
	why[n > 0 ? n : 0] = '\0';
	close(fd[0]);
	return waitpid(pid, &status, 0) == pid && !status;
}

/* The first transport that can run here, with its defaults; none that needs a GPU
 * for each rank. */
static void find_below(struct pfw_trial *t, struct pfw_subject *out)
{
	struct pfw_listed *list;
	struct pfw_values *values;
	char why[256];
	size_t n;

	if (pfw_registry_list(t->registry, &list, &n, NULL))
		pfw_trial_skip(t, "no memory for the list of transports");
	for (size_t i = 0; i < n; i++) {
		const struct pfw_loaded *l = list[i].loaded;

		if (!l || l->info.kind != PFW_KIND_TRANSPORT ||
		    l->ops.transport.post ||
		    !can_run(&l->ops.transport, why, sizeof(why)) ||
		    pfw_values_from_texts(l->info.options, l->info.n_options,
					  l->info.name, NULL, 0, &values, NULL))
			continue;
		snprintf(out->name, sizeof(out->name), "%s", l->info.name);
		out->ops = &l->ops.transport;
		out->opt = values;
		return;
	}
	pfw_trial_skip(t, "there is no transport that can run here, for the "
		       "filter to lie on");
}

static const struct pfw_subject *find_subject(struct pfw_trial *t)
{
	struct pfw_subject *s = pfw_trial_alloc(t, 2 * sizeof(*s));
	struct pfw_transport_props p = { .size = sizeof(p) };
	char why[512];

	s->ops = &t->plugin->ops.transport;
	s->opt = t->values;
	snprintf(s->name, sizeof(s->name), "%s", t->plugin->info.name);
	if (!can_run(s->ops, why, sizeof(why)))
		pfw_trial_skip(t, "it cannot run here: %s", why);
	if (t->plugin->info.kind == PFW_KIND_FILTER) {
		find_below(t, s + 1);
		s->below = s + 1;
	}
	pfw_subject_props(s, &p);
	if (!(p.memory & PFW_MEM_HOST))
		pfw_trial_skip(t, "it moves no memory of the host");
	if (p.receive == PFW_RECEIVE_PLANNED && !s->ops->post)
		pfw_trial_refuse(t, "its receives are planned, and it has no "
				 "post()");
	return s;
}

/* Once a process: what it has opened since may not survive the probe's fork(). */
const struct pfw_subject *pfw_trial_subject(struct pfw_trial *t)
{
	if (!t->subject)
		t->subject = find_subject(t);
	return t->subject;
}

static void fill(unsigned char *at, uint64_t n, uint64_t m)
{
	for (uint64_t i = 0; i < n; i++)
		at[i] = (unsigned char)(i * 31 + m * 17 + (i >> 9));
}

/* The first byte that is not as it was sent; n: none. */
static uint64_t first_wrong(const unsigned char *at, uint64_t n, uint64_t m)
{
	for (uint64_t i = 0; i < n; i++)
		if (at[i] != (unsigned char)(i * 31 + m * 17 + (i >> 9)))
			return i;
	return n;
}

void pfw_trial_pair(struct pfw_trial *t, struct pfw_pair *p, uint32_t from,
		      uint32_t n_slots, uint64_t slot_bytes)
{
	const struct pfw_subject *s = pfw_trial_subject(t);
	int rc;

	pfw_trial_doing(t, "opening a channel of %u slots of %llu bytes", n_slots,
			(unsigned long long)slot_bytes);
	rc = pfw_pair_open(p, s, from, n_slots, slot_bytes);
	if (rc)
		pfw_trial_refuse(t, "a channel of %u slots of %llu bytes does "
				 "not open: %s, \"%s\"", n_slots,
				 (unsigned long long)slot_bytes,
				 pfw_trial_code(rc), p->end[from].err.text[0] ?
				 p->end[from].err.text : p->end[!from].err.text);
}

/* The m-th message through a slot, and looked at. */
void pfw_trial_pass(struct pfw_trial *t, struct pfw_pair *p, uint64_t m,
		     uint32_t slot, uint64_t bytes)
{
	const struct pfw_subject *subject = p->end[0].subject;
	const struct pfw_transport_ops *ops = subject->ops;
	struct pfw_message_id id = pfw_id_of(m), got;
	struct pfw_error err = { 0 };
	uint64_t n = UINT64_MAX, wrong;
	uint32_t s = PFW_NONE;

	pfw_trial_doing(t, "passing %llu bytes through slot %u",
			(unsigned long long)bytes, slot);
	pfw_trial_gives(t, "acquire(), waited for,",
			pfw_must_acquire(subject, p->tx, slot), 0, NULL);
	fill(ops->slot(p->tx, slot), bytes, m);
	pfw_trial_gives(t, "send()", ops->send(p->tx, slot, bytes, &id, &err), 0,
			&err);
	pfw_trial_gives(t, "post()",
			pfw_must_post(subject, p->rx, slot, bytes), 0, NULL);
	pfw_trial_gives(t, "recv(), waited for,",
			pfw_must_recv(subject, p->rx, &s, &n, &got), 0, NULL);
	if (s != slot || n != bytes)
		pfw_trial_refuse(t, "%llu bytes sent in slot %u come as %llu "
				 "bytes in slot %u", (unsigned long long)bytes,
				 slot, (unsigned long long)n, s);
	if (!pfw_id_is(&got, m))
		pfw_trial_refuse(t, "the identity of message %llu does not come "
				 "as it was sent", (unsigned long long)m);
	wrong = first_wrong(ops->slot(p->rx, slot), bytes, m);
	if (wrong < bytes)
		pfw_trial_refuse(t, "of %llu bytes byte %llu is not what was "
				 "sent", (unsigned long long)bytes,
				 (unsigned long long)wrong);
	pfw_trial_gives(t, "release()", ops->release(p->rx, slot, &err), 0, &err);
}
