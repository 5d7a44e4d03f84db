/* The stand-in's devices: ports, addresses, and what they have to say. */
#include "fake_impl.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#undef ibv_query_port

#define DEVICES 2u

struct fake_verbs fake;
static struct ibv_device devices[DEVICES] = { { .name = "fake0" },
					      { .name = "fake1" } };
static int events[DEVICES]; /* 1 + enum ibv_event_type; 0: none */
static _Atomic unsigned alive;
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

int fake_lock(void)
{
	return pthread_mutex_lock(&lock);
}

void fake_unlock(int *locked)
{
	(void)locked;
	pthread_mutex_unlock(&lock);
}

void *fake_make(size_t size)
{
	void *p = calloc(1, size);

	alive += p != NULL;
	return p;
}

int fake_drop(void *p)
{
	alive--;
	free(p);
	return 0;
}

unsigned fake_alive(void)
{
	return alive;
}

void fake_reset(void)
{
	fake = (struct fake_verbs){ .registrations_left = ~0u, .sends_left = ~0u,
				    .cq_room = ~0u, .mtu = IBV_MTU_4096,
				    .max_msg = 1u << 20 };
	events[0] = events[1] = 0;
}

unsigned fake_number(const struct ibv_context *c)
{
	return (unsigned)(c->device - devices);
}

struct ibv_device **ibv_get_device_list(int *n)
{
	struct ibv_device **list = calloc(DEVICES + 1, sizeof(*list));
	enum ibv_transport_type type;

	/* Written only where it changes: other ranks may read it. */
	for (unsigned i = 0; list && i < DEVICES; i++) {
		type = fake.iwarp >> i & 1 ? IBV_TRANSPORT_IWARP :
					     IBV_TRANSPORT_IB;
		fake_lock();
		if (devices[i].transport_type != type)
			devices[i].transport_type = type;
		pthread_mutex_unlock(&lock);
		list[i] = &devices[i];
	}
	*n = DEVICES;
	return list;
}

void ibv_free_device_list(struct ibv_device **list)
{
	free(list);
}

const char *ibv_get_device_name(struct ibv_device *device)
{
	return device->name;
}

struct ibv_context *ibv_open_device(struct ibv_device *device)
{
	struct verbs_context *v = fake_make(sizeof(*v));
	struct ibv_context *c = &v->context;

	v->sz = sizeof(*v);
	v->create_qp_ex = fake_create_qp_ex;
	c->abi_compat = __VERBS_ABI_IS_EXTENDED;
	c->device = device;
	c->async_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	c->ops.poll_cq = fake_poll_cq;
	c->ops.post_send = fake_post_send;
	c->ops.post_recv = fake_post_recv;
	c->ops.req_notify_cq = fake_notify;
	return c;
}

int ibv_close_device(struct ibv_context *c)
{
	close(c->async_fd);
	return fake_drop(verbs_get_ctx(c));
}

int ibv_query_device(struct ibv_context *c, struct ibv_device_attr *out)
{
	(void)c;
	*out = (struct ibv_device_attr){ .phys_port_cnt = 1, .max_qp_wr = 4096,
					 .max_cqe = 16384 };
	return 0;
}

int ibv_query_port(struct ibv_context *c, uint8_t port,
		   struct _compat_ibv_port_attr *out)
{
	struct ibv_port_attr attr = {
		.state = IBV_PORT_ACTIVE, .active_mtu = fake.mtu,
		.gid_tbl_len = 4, .max_msg_sz = fake.max_msg,
		.link_layer = IBV_LINK_LAYER_ETHERNET,
	};

	(void)c;
	memcpy(out, &attr, sizeof(attr));
	return port == 1 ? 0 : EINVAL;
}

ssize_t _ibv_query_gid_table(struct ibv_context *c, struct ibv_gid_entry *rows,
			     size_t most, uint32_t flags, size_t size)
{
	(void)flags;
	(void)size;
	if (most < 2)
		return -EINVAL;
	memset(rows, 0, 2 * sizeof(*rows));
	for (uint32_t i = 0; i < 2; i++) {
		rows[i].gid_index = i;
		rows[i].port_num = 1;
		rows[i].gid_type = IBV_GID_TYPE_ROCE_V2;
	}
	/* fe80::, then 127.0.0.1 or .2 */
	rows[0].gid.raw[0] = 0xfe;
	rows[0].gid.raw[1] = 0x80;
	memset(&rows[1].gid.raw[10], 0xff, 2);
	rows[1].gid.raw[12] = 127;
	rows[1].gid.raw[15] = (uint8_t)(1 + fake_number(c));
	return 2;
}

void fake_event(unsigned device, enum ibv_event_type type)
{
	events[device] = 1 + (int)type;
}

int ibv_get_async_event(struct ibv_context *c, struct ibv_async_event *out)
{
	int *e = &events[fake_number(c)];

	if (!*e) {
		errno = EAGAIN;
		return -1;
	}
	*out = (struct ibv_async_event){
		.event_type = (enum ibv_event_type)(*e - 1)
	};
	out->element.port_num = 1;
	*e = 0;
	return 0;
}

void ibv_ack_async_event(struct ibv_async_event *event)
{
	(void)event;
}

const char *ibv_event_type_str(enum ibv_event_type type)
{
	return type == IBV_EVENT_CQ_ERR ? "CQ error" : "an event";
}

const char *ibv_wc_status_str(enum ibv_wc_status status)
{
	(void)status;
	return "status";
}

