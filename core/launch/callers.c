/* Who calls the lead: strangers until they have proved that they are not. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "launch/far.h"
#include "launch/greet.h"
#include "launch/meet_impl.h"

#define GREET_NS (5 * PFW_S)
#define SETTINGS_NS (10 * PFW_S)
#define NOTES 20u /* of refusals to one who keeps calling: enough is said */

struct pfw_caller {
	char peer[PFW_ENDPOINT_TEXT], address[48];
	uint64_t deadline;
	int fd; /* -1: the link's */
	struct pfw_greeting greeting;
	struct pfw_link *link; /* NULL: it has not shown that it is one of us */
	struct pfw_far_intro intro;
	char *settings; /* NULL: it has not introduced itself */
	uint32_t have;
};

static void free_caller(struct pfw_caller *c)
{
	if (c->fd >= 0)
		close(c->fd);
	pfw_link_close(c->link);
	free(c->settings);
	free(c);
}

static void drop(struct pfw_callers *callers, uint32_t i)
{
	free_caller(callers->list[i]);
	callers->n--;
	memmove(&callers->list[i], &callers->list[i + 1],
		(callers->n - i) * sizeof(callers->list[0]));
}

void pfw_callers_close(struct pfw_callers *callers)
{
	while (callers->n)
		drop(callers, callers->n - 1);
	if (callers->listener >= 0)
		close(callers->listener);
	callers->listener = -1;
}

static void note(struct pfw_callers *callers, const char *text)
{
	if (callers->how->on_note && callers->notes < NOTES) {
		callers->notes++;
		callers->how->on_note(callers->how->context, text);
	}
}

/* Why not, to the one who called as well; it is dropped by who calls this. */
static int refuse(struct pfw_callers *callers, struct pfw_caller *c,
		  const char *why)
{
	char text[1300], ranks[48] = "";

	if (c->settings)
		pfw_ranks_text(c->intro.first, c->intro.n, ranks,
			       sizeof(ranks));
	snprintf(text, sizeof(text), "refused %s%s%s at %s: %s", ranks,
		 *ranks ? " of " : "a caller", *ranks ? c->intro.name : "",
		 c->peer, why);
	note(callers, text);
	if (c->link)
		pfw_link_send(c->link, PFW_FAR_REFUSED, 0, why, strlen(why),
			      NULL);
	return -EACCES;
}

static void take_call(struct pfw_callers *callers, int fd,
		      const struct sockaddr *from)
{
	struct pfw_caller *c = calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return;
	}
	c->fd = fd;
	c->deadline = pfw_now() + GREET_NS;
	pfw_endpoint_text(from, 1, c->peer, sizeof(c->peer));
	pfw_meeting_local_address(fd, c->address, sizeof(c->address));
	pfw_endpoint_tune(fd, PFW_MEET_SILENCE_S);
	if (pfw_greet_begin(&c->greeting, fd, 1, callers->how->secret, NULL)) {
		free_caller(c);
		return;
	}
	/* A place for one more: the longest silent one makes it. */
	if (callers->n == PFW_CALLERS)
		drop(callers, 0);
	callers->list[callers->n++] = c;
}

/* At most a table full: a flood of callers must not keep us here. */
static void take_calls(struct pfw_callers *callers)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	int fd;

	for (uint32_t i = 0; i < PFW_CALLERS; i++, len = sizeof(from)) {
		fd = accept4(callers->listener, (struct sockaddr *)&from, &len,
			     SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			return;
		take_call(callers, fd, (struct sockaddr *)&from);
	}
}

/* 0: it is one of us, and its link is open. */
static int greet(struct pfw_callers *callers, struct pfw_caller *c)
{
	struct pfw_error err = { 0 };
	int rc = pfw_greet_go_on(&c->greeting, &err);

	if (!rc)
		rc = pfw_greet_link(&c->greeting, &c->link, &err);
	if (!rc) {
		c->fd = -1;
		c->deadline = pfw_now() + SETTINGS_NS;
	} else if (rc != -EAGAIN) {
		refuse(callers, c, err.text);
	}
	return rc;
}

static int ends(const char *text, size_t len)
{
	return memchr(text, 0, len) != NULL;
}

static int take_intro(struct pfw_callers *callers, struct pfw_caller *c,
		      const struct pfw_frame *f)
{
	const struct pfw_far_intro *in = &c->intro;

	memcpy(&c->intro, f->body, sizeof(c->intro));
	if (in->wire != PFW_FAR_WIRE || !ends(in->version, sizeof(in->version)))
		return refuse(callers, c,
			      "it is another build of pipefw than that of rank "
			      "0 (" PACKAGE_VERSION "), and their messages "
			      "differ: install the same one on all hosts");
	if (!ends(in->host, sizeof(in->host)) ||
	    !ends(in->name, sizeof(in->name)) ||
	    in->settings > PFW_MEET_SETTINGS_MAX || !in->n ||
	    in->first >= in->ranks || in->n > in->ranks - in->first)
		return refuse(callers, c, "its introduction makes no sense");
	c->settings = calloc(1, in->settings + 1);
	return c->settings ? 0 : -ENOMEM;
}

static int take_frame(struct pfw_callers *callers, struct pfw_caller *c,
		      const struct pfw_frame *f)
{
	if (f->type == PFW_FAR_INTRO && !c->settings &&
	    f->len == sizeof(c->intro))
		return take_intro(callers, c, f);
	if (f->type != PFW_FAR_SETTINGS || !c->settings ||
	    f->len > c->intro.settings - c->have)
		return refuse(callers, c, "it does not introduce itself");
	memcpy(c->settings + c->have, f->body, f->len);
	c->have += f->len;
	return 0;
}

/* 0: all of its introduction is there. */
static int hear(struct pfw_callers *callers, struct pfw_caller *c)
{
	struct pfw_error err = { 0 };
	struct pfw_frame frame;
	int rc;

	for (;;) {
		if (c->settings && c->have == c->intro.settings)
			return 0;
		rc = pfw_link_receive(c->link, &frame, &err);
		if (rc == -EBADMSG)
			refuse(callers, c, err.text);
		if (!rc)
			rc = take_frame(callers, c, &frame);
		if (rc)
			return rc;
	}
}

static void line_of(const char *text, char *out, size_t len)
{
	size_t n = strcspn(text, "\n");

	snprintf(out, len, "%.*s", (int)(n < len ? n : len - 1), text);
}

/* The first line that is not the same there and here. */
static int compare(struct pfw_callers *callers, struct pfw_caller *c)
{
	const char *a = c->settings, *b = callers->how->settings;
	char there[300], here[300], text[800];

	while (*a && *b) {
		size_t n = strcspn(a, "\n"), m = strcspn(b, "\n");

		if (n != m || memcmp(a, b, n))
			break;
		a += n + (a[n] != 0);
		b += m + (b[m] != 0);
	}
	if (!*a && !*b)
		return 0;
	line_of(a, there, sizeof(there));
	line_of(b, here, sizeof(here));
	snprintf(text, sizeof(text),
		 "its run is another one: it has \"%s\", rank 0 has \"%s\"",
		 there, here);
	return refuse(callers, c, text);
}

static int judge(struct pfw_callers *callers, struct pfw_caller *c)
{
	char text[128];

	if (c->intro.ranks == callers->how->ranks)
		return compare(callers, c);
	snprintf(text, sizeof(text),
		 "its run has %u ranks, that of rank 0 has %u", c->intro.ranks,
		 callers->how->ranks);
	return refuse(callers, c, text);
}

static int go_on(struct pfw_callers *callers, struct pfw_caller *c)
{
	int rc = c->link ? 0 : greet(callers, c);

	if (!rc)
		rc = hear(callers, c);
	if (!rc)
		rc = judge(callers, c);
	if (rc == -EAGAIN && pfw_now() > c->deadline)
		return -ETIMEDOUT;
	return rc;
}

static void hand_over(struct pfw_callers *callers, uint32_t i,
		      struct pfw_introduced *out)
{
	struct pfw_caller *c = callers->list[i];

	memset(out, 0, sizeof(*out));
	out->link = c->link;
	out->first = c->intro.first;
	out->n = c->intro.n;
	memcpy(out->name, c->intro.name, sizeof(out->name));
	memcpy(out->host, c->intro.host, sizeof(out->host));
	memcpy(out->address, c->address, sizeof(out->address));
	c->link = NULL;
	drop(callers, i);
}

static void wait_for_calls(struct pfw_callers *callers, uint64_t until)
{
	struct pollfd polls[PFW_CALLERS + 1];
	uint64_t now = pfw_now();
	uint32_t n = 0;
	int ms = now >= until ? 0 : (int)((until - now) / PFW_MS) + 1;

	polls[n++] = (struct pollfd){ .fd = callers->listener,
				      .events = POLLIN };
	for (uint32_t i = 0; i < callers->n; i++) {
		const struct pfw_caller *c = callers->list[i];

		polls[n++] = (struct pollfd){
			.fd = c->link ? pfw_link_fd(c->link) : c->fd,
			.events = POLLIN,
		};
	}
	poll(polls, n, ms);
}

int pfw_callers_next(struct pfw_callers *callers, uint64_t until,
		     struct pfw_introduced *out)
{
	wait_for_calls(callers, until);
	take_calls(callers);
	for (uint32_t i = 0; i < callers->n;) {
		int rc = go_on(callers, callers->list[i]);

		if (!rc) {
			hand_over(callers, i, out);
			return 0;
		}
		if (rc == -EAGAIN)
			i++;
		else
			drop(callers, i);
	}
	return -EAGAIN;
}
