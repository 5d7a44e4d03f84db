/* What lead and guests do alike. */
#include "launch/meet.h"

#include <errno.h>
#include <pipefw/mac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "launch/far.h"
#include "launch/launcher.h"
#include "launch/meet_impl.h"

/* Equal where memory, and abstract sockets, can be shared: one kernel, one
 * network namespace. */
static void host_id(char *out, size_t len)
{
	const char *given = getenv("PIPEFW_HOST_ID");
	struct stat net = { 0 };
	char boot[40] = "?";
	FILE *f;

	if (given && *given) {
		snprintf(out, len, "%s", given);
		return;
	}
	f = fopen("/proc/sys/kernel/random/boot_id", "re");
	if (f && !fgets(boot, 37, f))
		strcpy(boot, "?");
	if (f)
		fclose(f);
	if (!strcmp(boot, "?"))
		gethostname(boot, sizeof(boot) - 1);
	stat("/proc/self/ns/net", &net);
	snprintf(out, len, "%s-%llx", boot, (unsigned long long)net.st_ino);
}

int pfw_meeting_new(const struct pfw_meet *how, uint32_t max_guests,
		    struct pfw_meeting **out, struct pfw_error *err)
{
	struct pfw_meeting *m = calloc(1, sizeof(*m));

	if (m)
		m->guests = calloc(max_guests, sizeof(*m->guests));
	if (!m || !m->guests) {
		pfw_meeting_close(m);
		return pfw_error_set(err, ENOMEM, "out of memory");
	}
	m->secret = how->secret;
	m->leads = !how->first;
	m->place.ranks = how->ranks;
	m->place.first = how->first;
	m->place.n = how->n;
	m->place.cores = pfw_cores();
	host_id(m->place.host, sizeof(m->place.host));
	*out = m;
	return 0;
}

void pfw_meeting_close(struct pfw_meeting *meeting)
{
	if (!meeting)
		return;
	for (uint32_t i = 0; i < meeting->n_guests; i++)
		pfw_link_close(meeting->guests[i].link);
	free(meeting->guests);
	free(meeting);
}

void pfw_meeting_refuse(struct pfw_meeting *meeting, const char *text)
{
	if (!meeting)
		return;
	for (uint32_t i = 0; i < meeting->n_guests; i++)
		pfw_link_send(meeting->guests[i].link, PFW_FAR_REFUSED, 0, text,
			      strlen(text), NULL);
}

void pfw_meeting_number(struct pfw_meeting *m, uint64_t job)
{
	static const char what[] = "pipefw ranks";
	const struct pfw_mac_part parts[] = { { what, sizeof(what) },
					      { &job, sizeof(job) } };

	m->place.job = job;
	pfw_mac(m->secret->bytes, m->secret->len, parts, 2, m->place.key);
}

void pfw_meeting_local_address(int fd, char *out, size_t len)
{
	struct sockaddr_storage addr;
	socklen_t bytes = sizeof(addr);

	if (getsockname(fd, (struct sockaddr *)&addr, &bytes))
		snprintf(out, len, "?");
	else
		pfw_endpoint_text((struct sockaddr *)&addr, 0, out, len);
}

void pfw_ranks_text(uint32_t first, uint32_t n, char *buf, size_t len)
{
	if (n == 1)
		snprintf(buf, len, "rank %u", first);
	else
		snprintf(buf, len, "ranks %u-%u", first, first + n - 1);
}

int pfw_meeting_open(const struct pfw_meet *how, struct pfw_meeting **out,
		     struct pfw_error *err)
{
	return how->first ? pfw_meeting_join(how, out, err) :
			    pfw_meeting_gather(how, out, err);
}

int pfw_meeting_start(struct pfw_meeting *meeting, const char *run_dir,
		      double timeout, struct pfw_error *err)
{
	return meeting->leads ?
		       pfw_meeting_begin(meeting, run_dir, timeout, err) :
		       pfw_meeting_follow(meeting, run_dir, timeout, err);
}
