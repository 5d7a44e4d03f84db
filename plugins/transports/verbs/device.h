/*
 * device.h: the ports that a rank uses, its rails.
 */
#ifndef VERBS_DEVICE_H
#define VERBS_DEVICE_H

#include "options.h"

#include <infiniband/verbs.h>

#include <stdbool.h>

#define VERBS_RAILS 4u
#define VERBS_GIDS 3u

/* A row of a port's GID table that is fit for use. */
struct verbs_gid {
	union ibv_gid gid;
	uint32_t index;
	uint32_t type; /* enum ibv_gid_type */
};

struct verbs_rail {
	struct ibv_context *context;
	uint8_t port;
	struct ibv_port_attr attr;
	struct ibv_device_attr device;
	uint32_t n_gids; /* best first */
	struct verbs_gid gids[VERBS_GIDS];
	bool immediate;      /* it has WRITE_WITH_IMM */
	uint64_t down_since; /* 0: the port is up */
	char fatal[96];      /* "": the device is well */
};

struct verbs_rails {
	uint32_t n;
	struct verbs_rail rail[VERBS_RAILS];
};

/** Is there a device with an active port?  As pfw_transport_ops.probe. */
int verbs_probe(char *why, size_t len);

/** Is option rails well formed?  No device is looked at. */
int verbs_rails_check(const struct verbs_options *opt, struct pfw_error *err);

/** -ENODEV: nothing to use on this machine; else an option is wrong. */
int verbs_rails_open(struct verbs_rails *rails, const struct verbs_options *opt,
		     struct pfw_error *err);
void verbs_rails_close(struct verbs_rails *rails);

/** "mlx5_0 port 1, RoCE, MTU 4096, gid 3"; what fits. */
size_t verbs_rail_describe(const struct verbs_rail *r, char *out, size_t len);

/** "mlx5_0 port 1". */
const char *verbs_rail_name(const struct verbs_rail *r, char *out, size_t len);

/** Takes what the device has to say; an error once it cannot go on. */
int verbs_rail_watch(struct verbs_rail *r, struct pfw_error *err);

#endif
