/* A guest's side of the meeting. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "launch/far.h"
#include "launch/greet.h"
#include "launch/meet_impl.h"

#define GREET_NS (5 * PFW_S)
#define LATE_FILE_NS (10 * PFW_S) /* until a shared folder shows a new file */

static void pause_ms(unsigned ms)
{
	const struct timespec t = { .tv_sec = ms / 1000,
				    .tv_nsec = (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

/* Hosts come up in any order: again and again, at most once a second. */
static int dial(const struct pfw_meet *how, int *fd, struct pfw_error *err)
{
	uint64_t deadline = pfw_now() + (uint64_t)(how->timeout * 1e9);
	struct pfw_error last = { 0 };
	unsigned wait = 50;

	while (pfw_endpoint_dial(how->at, deadline, fd, &last)) {
		if (pfw_now() + wait * PFW_MS > deadline)
			return pfw_error_set(
				err, ETIMEDOUT,
				"the launcher of rank 0 does not answer for "
				"%.0f s: %s (start `pipefw run %s --boot "
				"tcp://%s --ranks 0-...` on its host)",
				how->timeout, last.text, how->file,
				how->at->text);
		pause_ms(wait);
		wait = wait < 500 ? 2 * wait : 1000;
	}
	return 0;
}

static int greet(const struct pfw_meet *how, int fd, struct pfw_link **out,
		 struct pfw_error *err)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t deadline = pfw_now() + GREET_NS;
	struct pfw_greeting greeting;
	int rc = pfw_greet_begin(&greeting, fd, 0, how->secret, err);

	while (!rc) {
		rc = pfw_greet_go_on(&greeting, err);
		if (rc != -EAGAIN)
			break;
		rc = 0;
		if (pfw_now() > deadline)
			rc = pfw_error_set(err, ETIMEDOUT, "it says nothing");
		else
			poll(&p, 1, 100);
	}
	if (!rc)
		rc = pfw_greet_link(&greeting, out, err);
	if (rc)
		pfw_error_prefix(err, "%s does not take us in: ",
				 how->at->text);
	return rc;
}

static int introduce(const struct pfw_meet *how, struct pfw_meeting *m,
		     struct pfw_link *link, struct pfw_error *err)
{
	struct pfw_far_intro intro = {
		.wire = PFW_FAR_WIRE,
		.version = PACKAGE_VERSION,
		.ranks = how->ranks,
		.first = how->first,
		.n = how->n,
		.settings = (uint32_t)strlen(how->settings),
	};
	uint32_t done = 0, n;
	int rc;

	memcpy(intro.host, m->place.host, sizeof(intro.host));
	if (gethostname(intro.name, sizeof(intro.name) - 1))
		strcpy(intro.name, "?");
	rc = pfw_link_send(link, PFW_FAR_INTRO, 0, &intro, sizeof(intro), err);
	for (; !rc && done < intro.settings; done += n) {
		n = intro.settings - done < PFW_FRAME_MAX ?
			    intro.settings - done : PFW_FRAME_MAX;
		rc = pfw_link_send(link, PFW_FAR_SETTINGS, 0,
				   how->settings + done, n, err);
	}
	return rc;
}

/* The lead's next frame, which must be of this type. */
static int await(struct pfw_guest *lead, uint32_t type, size_t len,
		 uint64_t deadline, struct pfw_frame *f, struct pfw_error *err)
{
	struct pollfd p = { .fd = pfw_link_fd(lead->link) };
	int rc;

	for (;;) {
		rc = pfw_link_flush(lead->link, err);
		if (!rc || rc == -EAGAIN)
			rc = pfw_link_receive(lead->link, f, err);
		if (!rc && f->type == PFW_FAR_REFUSED)
			return pfw_error_set(err, EACCES,
					     "the launcher of rank 0 refuses: "
					     "%.*s",
					     (int)(f->len < 900 ? f->len : 900),
					     (const char *)f->body);
		if (!rc && (f->type != type || f->len != len))
			return pfw_error_set(err, EPROTO,
					     "the launcher of rank 0 sent "
					     "something else than expected");
		if (!rc)
			return 0;
		if (rc != -EAGAIN) {
			pfw_error_prefix(err, "the launcher of rank 0 has "
					 "left: ");
			return rc;
		}
		if (pfw_now() > deadline)
			return pfw_error_set(err, ETIMEDOUT,
					     "the launcher of rank 0 says "
					     "nothing any more");
		p.events = pfw_link_events(lead->link);
		poll(&p, 1, 100);
	}
}

int pfw_meeting_join(const struct pfw_meet *how, struct pfw_meeting **out,
		     struct pfw_error *err)
{
	struct pfw_meeting *m;
	int fd, rc = pfw_meeting_new(how, 1, &m, err);

	if (rc)
		return rc;
	rc = dial(how, &fd, err);
	if (rc)
		goto err_meeting;
	pfw_endpoint_tune(fd, PFW_MEET_SILENCE_S);
	pfw_meeting_local_address(fd, m->place.address,
				  sizeof(m->place.address));
	rc = greet(how, fd, &m->guests[0].link, err);
	if (rc)
		close(fd);
	else
		m->n_guests = 1;
	if (!rc)
		rc = introduce(how, m, m->guests[0].link, err);
	if (rc)
		goto err_meeting;
	snprintf(m->guests[0].name, sizeof(m->guests[0].name), "%.63s",
		 how->at->text);
	*out = m;
	return 0;

err_meeting:
	pfw_meeting_close(m);
	return rc;
}

/* A file in the lead's folder: what shows it here is the same folder. */
static int find_folder(const struct pfw_far_folder *folder, const char *run_dir,
		       struct pfw_error *err)
{
	uint64_t deadline = pfw_now() + LATE_FILE_NS;
	char path[PATH_MAX];
	int rc;

	if (!folder->needed)
		return 0;
	if (!memchr(folder->proof, 0, sizeof(folder->proof)) ||
	    strchr(folder->proof, '/'))
		return pfw_error_set(err, EPROTO,
				     "the run's folder is named strangely");
	rc = pfw_path_join(path, sizeof(path), run_dir, folder->proof, err);
	if (rc)
		return rc;
	while (access(path, F_OK)) {
		if (access(run_dir, F_OK) || pfw_now() > deadline)
			return pfw_error_set(
				err, ENOENT,
				"%s is not the run's folder that rank 0's host "
				"has: ranks save into one folder, so put it on "
				"a file system that all hosts share, and name "
				"it as it is called on each host with --out DIR",
				run_dir);
		pause_ms(100);
	}
	return 0;
}

int pfw_meeting_follow(struct pfw_meeting *m, const char *run_dir,
		       double timeout, struct pfw_error *err)
{
	/* The lead waits for others as long, and prepares its folder. */
	uint64_t deadline = pfw_now() + (uint64_t)((2 * timeout + 30) * 1e9);
	struct pfw_guest *lead = &m->guests[0];
	struct pfw_far_folder folder;
	struct pfw_frame f;
	int rc = await(lead, PFW_FAR_FOLDER, sizeof(folder), deadline, &f, err);

	if (rc)
		return rc;
	memcpy(&folder, f.body, sizeof(folder));
	pfw_meeting_number(m, folder.job);
	rc = find_folder(&folder, run_dir, err);
	if (rc) {
		pfw_meeting_refuse(m, err->text);
		return rc;
	}
	rc = pfw_link_send(lead->link, PFW_FAR_READY, 0, NULL, 0, err);
	if (!rc)
		rc = await(lead, PFW_FAR_START, 0, deadline, &f, err);
	return rc;
}
