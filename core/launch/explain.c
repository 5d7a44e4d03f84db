/* What the launcher says when a run fails, or when somebody asks. */
#include "launch/crew.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "launch/meet.h"
#include "schedule/program.h"

int pfw_member_stopped(const struct pfw_member *member)
{
	char path[64], stat[512];
	const char *end;
	size_t n;
	FILE *f;

	if (!member->pid || member->host)
		return member->pid && member->stopped;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)member->pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	n = fread(stat, 1, sizeof(stat) - 1, f);
	fclose(f);
	stat[n] = 0;
	/* The state follows the name, which may hold anything but ends in ')'. */
	end = strrchr(stat, ')');
	return end && end[1] && (end[2] == 'T' || end[2] == 't');
}

int pfw_crew_all_wait(const struct pfw_crew *crew)
{
	for (uint32_t i = 0; i < crew->n_members; i++) {
		const struct pfw_member *member = &crew->members[i];

		if (!member->pid || pfw_member_stopped(member))
			continue;
		for (uint32_t r = member->first; r < member->first + member->n;
		     r++)
			if (!crew->told[r] &&
			    !atomic_load(&crew->page->status[r].wait))
				return 0;
	}
	return 1;
}

static void add(char *buf, size_t len, size_t *used, const char *text)
{
	int n = snprintf(buf + *used, len - *used, "%s%s", *used ? "\n" : "",
			 text);

	*used += n < 0 ? 0 : (size_t)n;
	if (*used >= len)
		*used = len - 1;
}

void pfw_member_process(const struct pfw_member *member, char *buf, size_t len)
{
	char process[32] = "process";

	if (member->was)
		snprintf(process, sizeof(process), "process %d",
			 (int)member->was);
	snprintf(buf, len, "%s%s%s", process, member->host ? " on " : "",
		 member->host ? member->host : "");
}

static void process_text(const struct pfw_member *member, char *buf, size_t len)
{
	char process[128];

	pfw_member_process(member, process, sizeof(process));
	snprintf(buf, len, " (%s%s)", process,
		 !member->pid		      ? ", gone" :
		 pfw_member_stopped(member) ? ", stopped" : "");
}

void pfw_crew_picture(const struct pfw_crew *crew, char *buf, size_t len)
{
	char line[500], process[160];
	size_t used = 0;

	buf[0] = 0;
	for (uint32_t i = 0; i < crew->n_members; i++) {
		const struct pfw_member *member = &crew->members[i];

		process_text(member, process, sizeof(process));
		for (uint32_t r = member->first; r < member->first + member->n;
		     r++) {
			pfw_status_text(&crew->page->status[r], r, process,
					line, sizeof(line));
			add(buf, len, &used, line);
		}
	}
}

void pfw_crew_death_text(const struct pfw_crew *crew,
			 const struct pfw_member *member, int status, char *buf,
			 size_t len)
{
	const struct pfw_status *s = &crew->page->status[member->first];
	char action[48], ranks[48], process[128], how[64];

	pfw_ranks_text(member->first, member->n, ranks, sizeof(ranks));
	pfw_member_process(member, process, sizeof(process));
	if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "was killed by signal %d (%s)",
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(how, sizeof(how), "ended with status %d",
			 WEXITSTATUS(status));
	pfw_action_text(atomic_load(&s->type), atomic_load(&s->stage),
			atomic_load(&s->microbatch), action, sizeof(action));
	if (atomic_load(&s->phase) == PFW_PHASE_RUNNING)
		snprintf(buf, len, "%s (%s) %s at %s of step %llu", ranks,
			 process, how, action,
			 (unsigned long long)atomic_load(&s->step));
	else
		snprintf(buf, len, "%s (%s) %s", ranks, process, how);
}

static const struct pfw_member *member_of(const struct pfw_crew *crew,
					  uint32_t rank)
{
	uint32_t i = 0;

	while (i + 1 < crew->n_members &&
	       (rank < crew->members[i].first ||
		rank - crew->members[i].first >= crew->members[i].n))
		i++;
	return &crew->members[i];
}

/* Whom a rank waits for; PFW_NONE: nobody in particular. */
static uint32_t waits_for(const struct pfw_crew *crew, uint32_t rank)
{
	const struct pfw_status *s = &crew->page->status[rank];
	uint32_t wait = atomic_load(&s->wait);

	/* Who gave up a wait may be gone by now: what it waited for stands. */
	if ((!member_of(crew, rank)->pid && !crew->told[rank]) ||
	    pfw_member_stopped(member_of(crew, rank)))
		return PFW_NONE;
	if (wait != PFW_WAIT_MESSAGE && wait != PFW_WAIT_SLOT &&
	    wait != PFW_WAIT_PEER)
		return PFW_NONE;
	return atomic_load(&s->peer);
}

/* Where the rank's program has the action; a B where it is taken apart is an I.
 * PFW_NONE: nowhere. */
static uint32_t place_of(const struct pfw_program *prog, uint32_t rank,
			 uint32_t type, uint32_t stage, uint32_t microbatch)
{
	const struct pfw_rank_program *list = &prog->rank[rank];

	for (uint32_t i = 0; i < list->n; i++) {
		const struct pfw_op *op = &list->ops[i];

		if (op->stage == stage && op->microbatch == microbatch &&
		    (op->type == type || (type == PFW_BACKWARD &&
					  op->type == PFW_BACKWARD_INPUT)))
			return i;
	}
	return PFW_NONE;
}

/* Whether the peer is past what this rank waits for. */
static int was_made(const struct pfw_crew *crew, uint32_t rank)
{
	const struct pfw_program *prog = crew->how->program;
	const struct pfw_status *s = &crew->page->status[rank], *p;
	uint32_t peer = atomic_load(&s->peer), made, at;

	if (!prog || atomic_load(&s->wait) != PFW_WAIT_MESSAGE ||
	    peer >= prog->ranks)
		return 0;
	p = &crew->page->status[peer];
	if (atomic_load(&p->step) != atomic_load(&s->step))
		return 0;
	made = place_of(prog, peer, atomic_load(&s->wait_type),
			atomic_load(&s->wait_stage),
			atomic_load(&s->wait_microbatch));
	at = place_of(prog, peer, atomic_load(&p->type), atomic_load(&p->stage),
		      atomic_load(&p->microbatch));
	return made != PFW_NONE && at != PFW_NONE && at > made;
}

/* Programs are proved to have no circle: a message did not come through. */
static void circle_text(const struct pfw_crew *crew, char *buf, size_t len)
{
	char action[48];

	for (uint32_t r = 0; r < crew->how->ranks; r++) {
		const struct pfw_status *s = &crew->page->status[r];

		if (waits_for(crew, r) == PFW_NONE || !was_made(crew, r))
			continue;
		pfw_action_text(atomic_load(&s->wait_type),
				atomic_load(&s->wait_stage),
				atomic_load(&s->wait_microbatch), action,
				sizeof(action));
		snprintf(buf, len, ": the %s of %s, which rank %u has sent, was "
			 "lost on its way to rank %u",
			 pfw_channel_kind_name(atomic_load(&s->kind)), action,
			 atomic_load(&s->peer), r);
		return;
	}
	snprintf(buf, len, ": a circle, which no program has, so that a message "
		 "between them was lost");
}

/* "rank 3 waits for rank 2, which waits for rank 1, which is stopped": from
 * the rank that gave up to the one that keeps them all.  It is not asked of
 * the first whether it still lives: it has just told us so. */
static void chain_text(const struct pfw_crew *crew, char *buf, size_t len)
{
	const struct pfw_status *s = &crew->page->status[crew->cause_rank];
	uint32_t at = atomic_load(&s->peer), next, hops = 0;
	const struct pfw_member *member;
	char process[128];
	size_t used = (size_t)snprintf(buf, len, "rank %u waits for rank %u",
				       crew->cause_rank, at);

	while (at < crew->how->ranks && hops++ < crew->how->ranks &&
	       used < len) {
		next = waits_for(crew, at);
		if (next == PFW_NONE)
			break;
		used += (size_t)snprintf(buf + used, len - used,
					 ", which waits for rank %u", next);
		at = next;
	}
	if (at >= crew->how->ranks || used >= len)
		return;
	member = member_of(crew, at);
	pfw_member_process(member, process, sizeof(process));
	if (hops > crew->how->ranks)
		circle_text(crew, buf + used, len - used);
	else if (!member->pid)
		snprintf(buf + used, len - used, ", which is gone");
	else if (pfw_member_stopped(member))
		snprintf(buf + used, len - used, ", which is stopped (%s)",
			 process);
	else
		snprintf(buf + used, len - used, ", which is at work");
}

static int gave_up_a_wait(const struct pfw_crew *crew)
{
	uint32_t wait = atomic_load(&crew->page->status[crew->cause_rank].wait);

	return crew->cause_kind != PFW_CAUSE_OWN &&
	       (wait == PFW_WAIT_MESSAGE || wait == PFW_WAIT_SLOT);
}

void pfw_crew_explain(struct pfw_crew *crew)
{
	char *picture = malloc(sizeof(crew->result->text)), chain[512] = "";

	if (!picture) {
		snprintf(crew->result->text, sizeof(crew->result->text), "%s",
			 crew->cause);
		return;
	}
	pfw_crew_picture(crew, picture, sizeof(crew->result->text));
	if (gave_up_a_wait(crew))
		chain_text(crew, chain, sizeof(chain));
	snprintf(crew->result->text, sizeof(crew->result->text),
		 "%.1100s\n%s%s%.6500s", crew->cause, chain, *chain ? "\n" : "",
		 picture);
	free(picture);
}
