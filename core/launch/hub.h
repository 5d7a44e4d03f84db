/*
 * hub.h: the launcher's side of puts, gets and fences.
 */
#ifndef PFW_CORE_HUB_H
#define PFW_CORE_HUB_H

#include "launch/control.h"

struct pfw_hub;

/** @p answer brings an answer to a rank, and must not wait: one that takes none
 *  is stopped or dead, and others will find out. */
int pfw_hub_open(uint32_t ranks,
		 void (*answer)(void *context, uint32_t rank,
				const struct pfw_control_packet *packet),
		 void *context, struct pfw_hub **out, struct pfw_error *err);
void pfw_hub_close(struct pfw_hub *hub);
/** Takes a PUT, GET or FENCE of @p rank and sends what is due. */
int pfw_hub_take(struct pfw_hub *hub, uint32_t rank,
		 const struct pfw_control_packet *packet, struct pfw_error *err);

#endif
