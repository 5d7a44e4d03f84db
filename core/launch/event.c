#include "launch/event.h"

#include <errno.h>

uint32_t pfw_event_cause(int rc)
{
	switch (-rc) {
	case EPIPE:
	case ECONNREFUSED:
		return PFW_CAUSE_LEFT;
	case ETIMEDOUT:
		return PFW_CAUSE_WAIT;
	}
	return PFW_CAUSE_OWN;
}
