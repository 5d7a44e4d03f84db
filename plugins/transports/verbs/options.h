/*
 * options.h: what the config may set, read once.
 */
#ifndef VERBS_OPTIONS_H
#define VERBS_OPTIONS_H

#include <pipefw/transport.h>

/* What ends a message. */
enum verbs_notify {
	VERBS_NOTIFY_AUTO, /* what both devices have */
	VERBS_NOTIFY_IMMEDIATE,
	VERBS_NOTIFY_SEND,
};

struct verbs_options {
	const char *rails; /* "DEVICE[:PORT],..."; NULL: the first active port */
	int gid_index;     /* -1: by route */
	uint32_t qps;      /* per rail and connection */
	uint8_t timeout, retry_cnt, rnr_retry; /* as ibv_modify_qp() takes them */
	uint8_t sl, traffic_class;
	enum verbs_notify notify;
};

extern const struct pfw_option verbs_option_table[];
#define VERBS_N_OPTIONS 9u

void verbs_options_read(const struct pfw_values *opt, struct verbs_options *out);

/** How long a queue pair tries before it gives up, in seconds. */
double verbs_give_up_s(const struct verbs_options *o);

#endif
