/* The lead's side of the meeting. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "launch/far.h"
#include "launch/meet_impl.h"

#define LOOK_NS (200 * PFW_MS)

static void note(const struct pfw_meet *how, const char *text)
{
	if (how->on_note)
		how->on_note(how->context, text);
}

static void guest_text(const struct pfw_guest *g, char *buf, size_t len)
{
	char ranks[48];

	pfw_ranks_text(g->first, g->n, ranks, sizeof(ranks));
	snprintf(buf, len, "%s (%s)", g->name, ranks);
}

/* Who has this rank; NULL: nobody yet. */
static const char *owner_of(const struct pfw_meeting *m, uint32_t rank)
{
	if (rank < m->place.n)
		return "the launcher of rank 0";
	for (uint32_t i = 0; i < m->n_guests; i++)
		if (rank >= m->guests[i].first &&
		    rank - m->guests[i].first < m->guests[i].n)
			return m->guests[i].name;
	return NULL;
}

static void refuse(const struct pfw_meet *how, struct pfw_introduced *in,
		   uint32_t rank, const char *owner)
{
	struct pfw_guest g = { .first = in->first, .n = in->n };
	char why[160], text[400], who[160];

	memcpy(g.name, in->name, sizeof(g.name));
	guest_text(&g, who, sizeof(who));
	snprintf(why, sizeof(why), "rank %u is already with %s: see to it that "
		 "--ranks do not overlap", rank, owner);
	pfw_link_send(in->link, PFW_FAR_REFUSED, 0, why, strlen(why), NULL);
	pfw_link_close(in->link);
	snprintf(text, sizeof(text), "refused %s: %s", who, why);
	note(how, text);
}

/* Other hosts reach this one where its guests did; loopback is nobody else's. */
static void take_address(struct pfw_meeting *m, const char *address)
{
	if (!*m->place.address || !strncmp(m->place.address, "127.", 4) ||
	    !strcmp(m->place.address, "::1"))
		snprintf(m->place.address, sizeof(m->place.address), "%s",
			 address);
}

static void take_guest(struct pfw_meeting *m, const struct pfw_meet *how,
		       struct pfw_introduced *in)
{
	struct pfw_guest *g = &m->guests[m->n_guests];
	char who[160], text[200];

	for (uint32_t r = in->first; r < in->first + in->n; r++) {
		const char *owner = owner_of(m, r);

		if (owner) {
			refuse(how, in, r, owner);
			return;
		}
	}
	*g = (struct pfw_guest){ .link = in->link, .first = in->first,
				 .n = in->n };
	memcpy(g->name, in->name, sizeof(g->name));
	take_address(m, in->address);
	m->n_guests++;
	guest_text(g, who, sizeof(who));
	snprintf(text, sizeof(text), "%s has come", who);
	note(how, text);
}

/* They wait, and have nothing to say. */
static void serve_guests(struct pfw_meeting *m, const struct pfw_meet *how)
{
	for (uint32_t i = 0; i < m->n_guests;) {
		struct pfw_guest *g = &m->guests[i];
		char who[160], text[200];
		struct pfw_frame frame;

		if (pfw_link_receive(g->link, &frame, NULL) == -EAGAIN) {
			i++;
			continue;
		}
		guest_text(g, who, sizeof(who));
		snprintf(text, sizeof(text), "%s has left again", who);
		note(how, text);
		pfw_link_close(g->link);
		*g = m->guests[--m->n_guests];
	}
}

static uint32_t count(const struct pfw_meeting *m)
{
	uint32_t n = m->place.n;

	for (uint32_t i = 0; i < m->n_guests; i++)
		n += m->guests[i].n;
	return n;
}

/* "4-5, 7" */
static void missing_text(const struct pfw_meeting *m, char *buf, size_t len)
{
	size_t used = 0;

	buf[0] = 0;
	for (uint32_t r = 0, last; r < m->place.ranks && used < len;
	     r = last + 1) {
		last = r;
		if (owner_of(m, r))
			continue;
		while (last + 1 < m->place.ranks && !owner_of(m, last + 1))
			last++;
		used += (size_t)snprintf(buf + used, len - used,
					 last > r ? "%s%u-%u" : "%s%u",
					 used ? ", " : "", r, last);
	}
}

static int give_up(struct pfw_meeting *m, const struct pfw_meet *how,
		   struct pfw_error *err)
{
	char missing[160], text[800];
	int one;

	missing_text(m, missing, sizeof(missing));
	one = !strpbrk(missing, "-,");
	snprintf(text, sizeof(text),
		 "rank%s %s %s not come in %.0f s: start `pipefw run %s --boot "
		 "tcp://%s --secret FILE --ranks %s` on %s host%s", one ? "" : "s", missing,
		 one ? "has" : "have", how->timeout, how->file, how->at->text,
		 strchr(missing, ',') ? "A-B" : missing, one ? "its" : "their",
		 strchr(missing, ',') ? "s" : "");
	pfw_meeting_refuse(m, text);
	return pfw_error_set(err, ETIMEDOUT, "%s", text);
}

static int gather(struct pfw_meeting *m, const struct pfw_meet *how,
		  struct pfw_callers *callers, struct pfw_error *err)
{
	uint64_t deadline = pfw_now() + (uint64_t)(how->timeout * 1e9);
	struct pfw_introduced in;

	while (count(m) < m->place.ranks) {
		uint64_t now = pfw_now();

		if (now >= deadline)
			return give_up(m, how, err);
		if (!pfw_callers_next(callers, now + LOOK_NS, &in))
			take_guest(m, how, &in);
		serve_guests(m, how);
	}
	return 0;
}

int pfw_meeting_gather(const struct pfw_meet *how, struct pfw_meeting **out,
		       struct pfw_error *err)
{
	struct pfw_callers callers = { .how = how, .listener = -1 };
	struct pfw_meeting *m;
	uint64_t job;
	int rc = pfw_meeting_new(how, how->ranks, &m, err);

	if (rc)
		return rc;
	if (getrandom(&job, sizeof(job), 0) != sizeof(job))
		rc = pfw_error_set(err, EIO, "the kernel gives no random bytes");
	else
		rc = pfw_endpoint_listen(how->at, &callers.listener, err);
	if (!rc) {
		pfw_meeting_number(m, job);
		rc = gather(m, how, &callers, err);
	}
	pfw_callers_close(&callers);
	if (!rc && !*m->place.address)
		strcpy(m->place.address, "127.0.0.1");
	if (rc)
		pfw_meeting_close(m);
	else
		*out = m;
	return rc;
}

/* The frame that is waited for, from one guest. */
static int await(struct pfw_guest *g, uint32_t type, uint64_t deadline,
		 struct pfw_error *err)
{
	struct pollfd p = { .fd = pfw_link_fd(g->link) };
	struct pfw_frame f;
	char who[160];
	int rc;

	guest_text(g, who, sizeof(who));
	for (;;) {
		rc = pfw_link_receive(g->link, &f, err);
		if (!rc && f.type == type)
			return 0;
		if (!rc && f.type == PFW_FAR_REFUSED)
			return pfw_error_set(err, EINVAL, "%s: %.*s", who,
					     (int)(f.len < 900 ? f.len : 900),
					     (const char *)f.body);
		if (!rc)
			return pfw_error_set(err, EPROTO,
					     "the launcher of %s sent something "
					     "else than expected", who);
		if (rc != -EAGAIN) {
			pfw_error_prefix(err, "the launcher of %s has left: ",
					 who);
			return rc;
		}
		if (pfw_now() > deadline)
			return pfw_error_set(err, ETIMEDOUT,
					     "the launcher of %s does not answer",
					     who);
		p.events = pfw_link_events(g->link);
		poll(&p, 1, 100);
		rc = pfw_link_flush(g->link, err);
		if (rc && rc != -EAGAIN)
			return rc;
	}
}

/* The same to all, then an answer of each. */
static int ask(struct pfw_meeting *m, uint32_t type, const void *body,
	       size_t len, uint32_t answer, uint64_t deadline,
	       struct pfw_error *err)
{
	int rc = 0;

	for (uint32_t i = 0; !rc && i < m->n_guests; i++)
		rc = pfw_link_send(m->guests[i].link, type, 0, body, len, err);
	for (uint32_t i = 0; !rc && answer && i < m->n_guests; i++)
		rc = await(&m->guests[i], answer, deadline, err);
	return rc;
}

int pfw_meeting_begin(struct pfw_meeting *m, const char *run_dir,
		      double timeout, struct pfw_error *err)
{
	struct pfw_far_folder folder = { .job = m->place.job,
					 .needed = run_dir != NULL };
	uint64_t deadline = pfw_now() + (uint64_t)(timeout * 1e9);
	struct pfw_error own = { 0 };
	char path[PATH_MAX];
	int rc = 0;

	snprintf(folder.proof, sizeof(folder.proof), ".meeting-%016llx",
		 (unsigned long long)m->place.job);
	if (run_dir) {
		rc = pfw_path_join(path, sizeof(path), run_dir, folder.proof,
				   &own);
		if (!rc)
			rc = pfw_file_create(path, "", 0, &own);
	}
	if (!rc) {
		rc = ask(m, PFW_FAR_FOLDER, &folder, sizeof(folder),
			 PFW_FAR_READY, deadline, &own);
		if (run_dir)
			unlink(path);
	}
	if (!rc)
		rc = ask(m, PFW_FAR_START, NULL, 0, 0, deadline, &own);
	if (rc) {
		pfw_meeting_refuse(m, own.text);
		pfw_error_set(err, own.code, "%s", own.text);
	}
	return rc;
}
