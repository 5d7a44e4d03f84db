/*
 * control.h: what fork's launcher and its ranks share: a page and a socket each.
 */
#ifndef PFW_CORE_CONTROL_H
#define PFW_CORE_CONTROL_H

#include "launch/boot.h"

/** Shared by the launcher and all ranks. */
struct pfw_control_page {
	_Alignas(128) _Atomic uint32_t abort;
	_Alignas(128) _Atomic uint32_t stop;
	_Alignas(128) _Atomic uint32_t held; /**< ranks whose packet found no
						  room; and a launcher that
						  rank 0's does not listen to */
	_Alignas(128) _Atomic int64_t clock_ahead; /**< of this host: ns */
	_Alignas(128) _Atomic uint64_t elsewhere; /**< turns of ranks whose status
						       is not here */
	struct pfw_status status[]; /**< [ranks] */
};

#define PFW_CONTROL_PUT 1u
#define PFW_CONTROL_GET 2u   /**< answered by VALUE */
#define PFW_CONTROL_FENCE 3u /**< answered by GO when all have sent it */
#define PFW_CONTROL_TELL 4u
#define PFW_CONTROL_VALUE 5u
#define PFW_CONTROL_GO 6u

/** One packet on a rank's socket (SOCK_SEQPACKET). */
struct pfw_control_packet {
	uint32_t type;
	uint32_t len; /**< bytes of value */
	char key[PFW_BOOT_KEY_MAX];
	union {
		unsigned char value[PFW_BOOT_VALUE_MAX];
		struct pfw_event event;
	};
};

/** The rank's end of boot `fork`. */
struct pfw_boot_fork {
	struct pfw_boot boot; /**< first: a pfw_boot * is one of these */
	struct pfw_control_page *page;
	int fd;
};

void pfw_boot_fork_init(struct pfw_boot_fork *boot,
			struct pfw_control_page *page, int fd, uint32_t rank,
			uint32_t threads, const struct pfw_place *place);

#endif
