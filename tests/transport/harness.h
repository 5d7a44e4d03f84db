/*
 * harness.h: two ends of a transport in a test's hands.
 */
#ifndef PFW_TESTS_HARNESS_H
#define PFW_TESTS_HARNESS_H

#include <pipefw/transport.h>

#include "base/clock.h"
#include "plugin/registry.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/types.h>

/** How long a test waits for what must come. */
#define PATIENCE (60 * PFW_S)

/** A transport under test, or a filter on top of another subject. */
struct subject {
	char name[128];
	const struct pfw_transport_ops *ops;
	struct pfw_values *opt;
	const struct subject *below; /* NULL: a transport */
};

#define MAX_LAYERS 4u

/** One rank of two, and its end of each channel that it opened. */
struct end {
	const struct subject *subject;
	void *transport; /* the uppermost layer's */
	struct pfw_below layers[MAX_LAYERS]; /* lowest first */
	uint32_t n_layers;
	struct pfw_address self;
	struct pfw_transport_info info;
	struct pfw_error err;
	void *user; /* a child's is its parent's */
};

/** What the whole stack says of itself. */
void subject_props(const struct subject *s, struct pfw_transport_props *out);

int end_open(struct end *e, const struct subject *s, uint32_t rank, uint64_t job,
	     uint64_t spin_ns);
void end_close(struct end *e);

/** Rank 0 sends when @p sending, by @p kind; see struct pfw_channel_info. */
struct pfw_channel_info channel_info(uint32_t from, uint32_t kind,
				     uint32_t n_slots, uint64_t slot_bytes);
/** This end of the channel @p info; -EAGAIN as in the contract. */
int end_try(struct end *e, const struct pfw_channel_info *info,
	    const struct pfw_address *peer, void **channel);
/** Goes on until it is open or fails. */
int end_channel(struct end *e, const struct pfw_channel_info *info,
		const struct pfw_address *peer, void **channel);

/** A channel of one thread that holds both ends. */
struct pair {
	struct end end[2]; /* by rank */
	void *tx, *rx;     /* the channel from rank `from` to the other */
	uint32_t from;
};
int pair_open(struct pair *p, const struct subject *s, uint32_t from,
	      uint32_t n_slots, uint64_t slot_bytes);
void pair_close(struct pair *p);

/** Blocking forms of the data plane; -ETIMEDOUT after PATIENCE. */
int must_acquire(const struct subject *s, void *channel, uint32_t slot);
int must_recv(const struct subject *s, void *channel, uint32_t *slot,
	      uint64_t *bytes, struct pfw_message_id *id);

/** A folder of files for the time of a test. */
void scratch_make(char path[64]);
void scratch_remove(const char *path);

/** The identity a test gives to its m-th message, and whether it is that. */
struct pfw_message_id id_of(uint64_t m);
bool id_is(const struct pfw_message_id *id, uint64_t m);

/** Puts the calling thread on the n-th processor that it may use, from 0 on. */
void use_core(int n);

/**
 * Runs @p run as rank 1 in a process of its own, which gets rank 0's address
 * and gives its own; its result is the exit status.
 */
struct child {
	pid_t pid;
	struct pfw_address address;
};
int child_start(struct child *c, const struct end *parent, uint64_t spin_ns,
		int (*run)(struct end *self, const struct pfw_address *parent));
/** 0: it ended with 0. */
int child_join(struct child *c);

/** The plugins to test: what the registry finds in $PIPEFW_PLUGIN_DIR. */
struct subjects {
	struct pfw_registry *registry;
	struct subject *list; /* transports, then each filter on the first */
	size_t n;
};
/** Says on stdout what is skipped and why. */
int subjects_load(struct subjects *out, struct pfw_error *err);
void subjects_free(struct subjects *s);

/** One transport or filter by name; @p options: "a=1 b=2". */
int subject_load(struct pfw_registry *reg, const char *name, const char *options,
		 const struct subject *below, struct subject *out,
		 struct pfw_error *err);
void subject_free(struct subject *s);

#endif
