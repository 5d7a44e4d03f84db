#include "device.h"

#include "ability.h"
#include "base/clock.h"
#include "gid.h"
#include "lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long a port may be down before the run ends for it. */
#define DOWN_NS (5 * PFW_S)

#define SOFT_ROCE                                                              \
	"for Soft-RoCE, over any network interface with an IP address, as "    \
	"root: modprobe rdma_rxe, then rdma link add rxe0 type rxe netdev "    \
	"eth0 (iproute2)"

/* A device as the "DEVICE[:PORT]" of option rails names it. */
struct wanted {
	char name[IBV_SYSFS_NAME_MAX];
	unsigned port; /* 0: the first active one */
};

const char *verbs_rail_name(const struct verbs_rail *r, char *out, size_t len)
{
	snprintf(out, len, "%s port %u", ibv_get_device_name(r->context->device),
		 r->port);
	return out;
}

/* 0, or -ENOLINK: no such port, or it is not active. */
static int use_port(struct verbs_rail *r, unsigned port)
{
	if (ibv_query_port(r->context, (uint8_t)port, &r->attr) ||
	    r->attr.state != IBV_PORT_ACTIVE)
		return -ENOLINK;
	r->port = (uint8_t)port;
	return 0;
}

static int find_port(struct verbs_rail *r, unsigned port)
{
	if (port)
		return port > r->device.phys_port_cnt ? -ENOLINK :
							use_port(r, port);
	for (port = 1; port <= r->device.phys_port_cnt; port++)
		if (!use_port(r, port))
			return 0;
	return -ENOLINK;
}

/* Async events are looked for, never waited for. */
static int open_device(struct ibv_device *device, struct verbs_rail *r)
{
	int rc = 0;

	/* Queue pairs of iWARP are joined by a connection manager alone. */
	if (device->transport_type != IBV_TRANSPORT_IB)
		return -EPROTONOSUPPORT;
	r->context = ibv_open_device(device);
	if (!r->context)
		return errno ? -errno : -EIO;
	if (ibv_query_device(r->context, &r->device) ||
	    fcntl(r->context->async_fd, F_SETFL, O_NONBLOCK))
		rc = -EIO;
	if (rc)
		ibv_close_device(r->context);
	return rc;
}

/* "rxe0, rxe1"; what fits. */
static const char *names(struct ibv_device **list, int n, char *out, size_t len)
{
	size_t at = (size_t)snprintf(out, len, "%s", n ? "" : "none");

	for (int i = 0; i < n && at < len; i++)
		at += (size_t)snprintf(out + at, len - at, "%s%s", i ? ", " : "",
				       ibv_get_device_name(list[i]));
	return out;
}

static int refuse_name(const struct verbs_options *opt, const char *name,
		       struct ibv_device **list, int n, struct pfw_error *err)
{
	char text[256];

	return pfw_error_set(err, ENXIO, "rails = \"%s\": there is no RDMA device %s; "
			     "those that there are (rdma link): %s", opt->rails, name,
			     names(list, n, text, sizeof(text)));
}

static int refuse_open(const struct verbs_options *opt, const char *name, int code,
		       struct pfw_error *err)
{
	if (code == -EPROTONOSUPPORT)
		return pfw_error_set(err, -code, "rails = \"%s\": %s speaks neither "
				     "InfiniBand nor RoCE (iWARP?): transport = "
				     "\"tcp\" goes over its network interface",
				     opt->rails, name);
	return pfw_error_set(err, ENODEV, "the RDMA device %s cannot be opened "
			     "(%s): are /dev/infiniband/uverbs* there and open to "
			     "this user? In a container: --device=/dev/infiniband",
			     name, strerror(-code));
}

static int refuse_port(const struct verbs_options *opt, const struct verbs_rail *r,
		       const struct wanted *w, struct pfw_error *err)
{
	unsigned most = r->device.phys_port_cnt;

	if (w->port > most)
		return pfw_error_set(err, ENXIO, "rails = \"%s\": %s has no port %u; "
				     "its last one is port %u", opt->rails, w->name,
				     w->port, most);
	return pfw_error_set(err, ENODEV, "%s of the RDMA device %s is not active: is "
			     "the link up? (rdma link, ip link)",
			     w->port ? "the port that rails names" : "every port",
			     w->name);
}

static int refuse_gid(const struct verbs_options *opt, const struct verbs_rail *r,
		      struct pfw_error *err)
{
	char name[IBV_SYSFS_NAME_MAX + 16];

	verbs_rail_name(r, name, sizeof(name));
	if (opt->gid_index < 0)
		return pfw_error_set(err, ENODEV, "%s has no usable GID: give its "
				     "network interface an IP address", name);
	return pfw_error_set(err, EADDRNOTAVAIL, "gid_index = %d: that row of %s is "
			     "empty, or past the end of its table of %d: ibv_devinfo "
			     "-v shows it, or leave gid_index out", opt->gid_index,
			     name, r->attr.gid_tbl_len);
}

static int open_rail(struct ibv_device **list, int n, const struct wanted *w,
		     const struct verbs_options *opt, struct verbs_rail *r,
		     struct pfw_error *err)
{
	int i = 0, rc;

	while (i < n && strcmp(ibv_get_device_name(list[i]), w->name))
		i++;
	if (i == n)
		return refuse_name(opt, w->name, list, n, err);
	rc = open_device(list[i], r);
	if (rc)
		return refuse_open(opt, w->name, rc, err);
	if (find_port(r, w->port))
		rc = refuse_port(opt, r, w, err);
	else if (verbs_gids_find(r, opt->gid_index))
		rc = refuse_gid(opt, r, err);
	else
		r->immediate = verbs_has_immediate(r->context);
	if (rc)
		ibv_close_device(r->context);
	return rc;
}

/* The first device that has an active port; it stays open. */
static int first_active(struct ibv_device **list, int n, struct verbs_rail *r)
{
	for (int i = 0; i < n; i++) {
		*r = (struct verbs_rail){ 0 };
		if (open_device(list[i], r))
			continue;
		if (!find_port(r, 0))
			return 0;
		ibv_close_device(r->context);
	}
	return -ENODEV;
}

static int count_devices(struct ibv_device ***list)
{
	int n = 0;

	*list = ibv_get_device_list(&n);
	return *list ? n : 0;
}

size_t verbs_rail_describe(const struct verbs_rail *r, char *out, size_t len)
{
	char name[IBV_SYSFS_NAME_MAX + 16];
	size_t at;

	at = (size_t)snprintf(out, len, "%s, %s, MTU %u",
			      verbs_rail_name(r, name, sizeof(name)),
			      r->attr.link_layer == IBV_LINK_LAYER_ETHERNET ?
				      "RoCE" : "InfiniBand",
			      128u << r->attr.active_mtu);
	if (at < len && r->n_gids)
		at += (size_t)snprintf(out + at, len - at, ", gid %u",
				       r->gids[0].index);
	return at < len ? at : len;
}

/* "rxe0 port 1, ..., WRITE_WITH_IMM; one of 2 devices; ulimit -l is 8192 KiB". */
static void describe(struct verbs_rail *r, int n, char *out, size_t len)
{
	uint64_t limit = verbs_lock_limit();
	char gid[INET6_ADDRSTRLEN];
	size_t at;

	verbs_gids_find(r, -1);
	at = verbs_rail_describe(r, out, len);
	if (at < len && r->n_gids)
		at += (size_t)snprintf(out + at, len - at, " (%s)",
				       verbs_gid_text(&r->gids[0].gid, gid));
	if (at < len)
		at += (size_t)snprintf(out + at, len - at, ", %s",
				       verbs_has_immediate(r->context) ?
					       "WRITE_WITH_IMM" : "WRITE, then SEND");
	if (at < len && n > 1)
		at += (size_t)snprintf(out + at, len - at, "; one of %d devices", n);
	if (at < len && limit != UINT64_MAX)
		snprintf(out + at, len - at, "; ulimit -l is %llu KiB: slots are "
			 "locked memory", (unsigned long long)limit >> 10);
	ibv_close_device(r->context);
}

/* One that the kernel has and libibverbs has not. */
static bool lacks_provider(char name[64])
{
	DIR *dir = opendir("/sys/class/infiniband");
	const struct dirent *e = NULL;

	while (dir && (e = readdir(dir)) && *e->d_name == '.')
		;
	if (e)
		snprintf(name, 64, "%.63s", e->d_name);
	if (dir)
		closedir(dir);
	return e;
}

static void tell_none(char *why, size_t len)
{
	char name[64];

	if (lacks_provider(name))
		snprintf(why, len, "the kernel has the device %s, libibverbs has no "
			 "provider for it: install it (Debian: ibverbs-providers); in "
			 "a container: --device=/dev/infiniband", name);
	else
		snprintf(why, len, "no device, neither InfiniBand nor RoCE (rdma link, "
			 "lspci: is its driver loaded?); " SOFT_ROCE);
}

int verbs_probe(char *why, size_t len)
{
	struct ibv_device **list;
	struct verbs_rail r;
	int n = count_devices(&list), rc = first_active(list, n, &r);

	if (!rc)
		describe(&r, n, why, len);
	else if (!n)
		tell_none(why, len);
	else
		snprintf(why, len, "%s%s cannot be opened, has no active port or is "
			 "neither InfiniBand nor RoCE: "
			 "is the link up, is /dev/infiniband open to this user? "
			 "(rdma link, ip link, ls -l /dev/infiniband)",
			 ibv_get_device_name(list[0]), n > 1 ? " and others" : "");
	if (list)
		ibv_free_device_list(list);
	return rc;
}

/* Reads "DEVICE[:PORT]" up to a comma; NULL: that is not what it is. */
static const char *read_wanted(const char *text, struct wanted *w)
{
	size_t n = strcspn(text, ":,");
	char *end = (char *)text + n;
	unsigned long port = 0;

	if (n < 1 || n >= sizeof(w->name))
		return NULL;
	memcpy(w->name, text, n);
	w->name[n] = '\0';
	if (*end == ':') {
		port = strtoul(end + 1, &end, 10);
		if (port < 1 || port > 255)
			return NULL;
	}
	w->port = (unsigned)port;
	if (*end == ',')
		return end + 1;
	return *end ? NULL : end;
}

static bool names_rails(const struct verbs_options *opt)
{
	return opt->rails && *opt->rails;
}

/* As option rails names them. */
static int read_rails(const struct verbs_options *opt, struct wanted *w,
		      uint32_t *n_wanted, struct pfw_error *err)
{
	const char *text = opt->rails;

	*n_wanted = 0;
	while (text && *text && *n_wanted < VERBS_RAILS)
		text = read_wanted(text, &w[(*n_wanted)++]);
	if (!text || *text)
		return pfw_error_set(err, EINVAL, "rails = \"%s\": must be 1 to %u "
				     "times DEVICE[:PORT], with commas between them",
				     opt->rails, VERBS_RAILS);
	return 0;
}

int verbs_rails_check(const struct verbs_options *opt, struct pfw_error *err)
{
	struct wanted wanted[VERBS_RAILS];
	uint32_t n;

	return names_rails(opt) ? read_rails(opt, wanted, &n, err) : 0;
}

static int choose(const struct verbs_options *opt, struct ibv_device **list, int n,
		  struct wanted *w, uint32_t *n_wanted, struct pfw_error *err)
{
	struct verbs_rail r;
	char why[256];

	if (names_rails(opt))
		return read_rails(opt, w, n_wanted, err);
	if (first_active(list, n, &r)) {
		verbs_probe(why, sizeof(why));
		return pfw_error_set(err, ENODEV, "verbs: %s", why);
	}
	snprintf(w->name, sizeof(w->name), "%s",
		 ibv_get_device_name(r.context->device));
	w->port = r.port;
	ibv_close_device(r.context);
	*n_wanted = 1;
	return 0;
}

int verbs_rails_open(struct verbs_rails *rails, const struct verbs_options *opt,
		     struct pfw_error *err)
{
	struct wanted wanted[VERBS_RAILS];
	struct ibv_device **list;
	uint32_t n_wanted;
	int n = count_devices(&list), rc;

	rails->n = 0;
	rc = choose(opt, list, n, wanted, &n_wanted, err);
	for (uint32_t i = 0; !rc && i < n_wanted; i++) {
		rails->rail[i] = (struct verbs_rail){ 0 };
		rc = open_rail(list, n, &wanted[i], opt, &rails->rail[i], err);
		rails->n += !rc;
	}
	if (list)
		ibv_free_device_list(list);
	if (rc)
		verbs_rails_close(rails);
	return rc;
}

void verbs_rails_close(struct verbs_rails *rails)
{
	while (rails->n)
		ibv_close_device(rails->rail[--rails->n].context);
}

/* What an event means for who uses the port. */
static void hear(struct verbs_rail *r, const struct ibv_async_event *e)
{
	switch (e->event_type) {
	case IBV_EVENT_PORT_ERR:
		if (e->element.port_num == r->port && !r->down_since)
			r->down_since = pfw_now();
		break;
	case IBV_EVENT_PORT_ACTIVE:
		if (e->element.port_num == r->port)
			r->down_since = 0;
		break;
	case IBV_EVENT_DEVICE_FATAL:
	case IBV_EVENT_CQ_ERR:
	case IBV_EVENT_QP_FATAL:
	case IBV_EVENT_QP_REQ_ERR:
	case IBV_EVENT_QP_ACCESS_ERR:
		if (!*r->fatal)
			snprintf(r->fatal, sizeof(r->fatal), "%s",
				 ibv_event_type_str(e->event_type));
		break;
	default:
		break;
	}
}

int verbs_rail_watch(struct verbs_rail *r, struct pfw_error *err)
{
	struct ibv_async_event event;
	char name[IBV_SYSFS_NAME_MAX + 16];

	while (!ibv_get_async_event(r->context, &event)) {
		hear(r, &event);
		ibv_ack_async_event(&event);
	}
	verbs_rail_name(r, name, sizeof(name));
	if (*r->fatal)
		return pfw_error_set(err, ECOMM, "the RDMA device says of %s: %s "
				     "(dmesg may say why)", name, r->fatal);
	if (r->down_since && pfw_now() - r->down_since > DOWN_NS)
		return pfw_error_set(err, ENETDOWN, "%s has been down for more than "
				     "%llu s: cable, switch or ip link set down?",
				     name, DOWN_NS / PFW_S);
	return 0;
}
