#include "launch/status.h"

#include <pipefw/transport.h>
#include <stdio.h>

#include "base/clock.h"
#include "schedule/program.h"

#define GET(field) atomic_load_explicit(&status->field, memory_order_relaxed)

/* "the activation of 0F3 from rank 0" */
static void wait_text(const struct pfw_status *status, char *buf, size_t len)
{
	char action[48];
	uint32_t kind = GET(kind);

	pfw_action_text(GET(wait_type), GET(wait_stage), GET(wait_microbatch),
			action, sizeof(action));
	switch (GET(wait)) {
	case PFW_WAIT_MESSAGE:
		snprintf(buf, len, "for the %s of %s from rank %u",
			 pfw_channel_kind_name(kind), action, GET(peer));
		break;
	case PFW_WAIT_SLOT:
		snprintf(buf, len,
			 "for rank %u to free the %s slot that %s will fill",
			 GET(peer), pfw_channel_kind_name(kind), action);
		break;
	case PFW_WAIT_FENCE:
		snprintf(buf, len, "for the other ranks to come to the same point");
		break;
	case PFW_WAIT_DATA:
		snprintf(buf, len, "for the data of the next step");
		break;
	case PFW_WAIT_PEER:
		snprintf(buf, len, "for rank %u to open the %s channel",
			 GET(peer), pfw_channel_kind_name(kind));
		break;
	case PFW_WAIT_DEVICE:
		snprintf(buf, len, "for its device");
		break;
	default:
		snprintf(buf, len, "for something unknown");
	}
}

static void place_text(const struct pfw_status *status, char *buf, size_t len)
{
	char action[48];

	switch (GET(phase)) {
	case PFW_PHASE_STARTING:
		snprintf(buf, len, "starting up");
		break;
	case PFW_PHASE_CONNECTING:
		snprintf(buf, len, "opening channels");
		break;
	case PFW_PHASE_SAVING:
		snprintf(buf, len, "saving after step %llu",
			 (unsigned long long)GET(step));
		break;
	case PFW_PHASE_ENDED:
		snprintf(buf, len, "done");
		break;
	default:
		pfw_action_text(GET(type), GET(stage), GET(microbatch), action,
				sizeof(action));
		snprintf(buf, len, "at %s of step %llu", action,
			 (unsigned long long)GET(step));
	}
}

void pfw_status_text(const struct pfw_status *status, uint32_t rank,
		     const char *process, char *buf, size_t len)
{
	char place[96], what[160];
	uint64_t now = pfw_now(), since = GET(since);

	place_text(status, place, sizeof(place));
	if (GET(wait) == PFW_WAIT_NOTHING) {
		snprintf(buf, len, "rank %u%s: %s", rank, process, place);
		return;
	}
	wait_text(status, what, sizeof(what));
	snprintf(buf, len, "rank %u%s: %s, waits %s (%.1f s)", rank, process,
		 place, what, now > since ? (double)(now - since) / 1e9 : 0.0);
}
