/*
 * The transport that `pipefw new` writes, wrong in the one way its option names.
 */
#define PFW_PLUGIN_VERSION "0.1"
#include <pipefw/transport.h>

/* Its descriptor stays out: there is one below. */
#undef PFW_PLUGIN
#define PFW_PLUGIN(...) extern const int no_descriptor
#include "new/transport/example.c"

static const struct pfw_option options[] = {
	{ .name = "how", .type = PFW_OPT_CHOICE, .def = "not",
	  .choices = "not|greedy|blind|late|immortal|anybody|planless|trusting|"
		     "skewed|short|exit|copied|mute|twice|order",
	  .help = "what is wrong with it" },
};

/* Ranks are processes or threads of a test: what is wrong is the same in all. */
static const char *how = "not";

static int is(const char *what)
{
	return !strcmp(how, what);
}

static void wrong_props(const struct pfw_values *opt,
			struct pfw_transport_props *out)
{
	how = pfw_value_string(opt, "how");
	props(opt, out);
	if (is("order"))
		out->order = 9;
	if (is("blind"))
		out->bandwidth = 1;
}

static int wrong_open(const struct pfw_values *opt,
		      const struct pfw_transport_info *info,
		      const struct pfw_below *below, void **transport,
		      struct pfw_address *self, struct pfw_error *err)
{
	struct pfw_transport_info other = *info;

	if (is("anybody"))
		other.job = 0;
	return open_transport(opt, &other, below, transport, self, err);
}

static int wrong_open_channel(void *transport,
			      const struct pfw_channel_info *info,
			      const struct pfw_address *peer, void **channel,
			      struct pfw_error *err)
{
	struct pfw_channel_info same = *info;
	const volatile unsigned char *at = (const unsigned char *)peer;

	if (is("exit"))
		exit(4);
	if (is("trusting"))
		for (uint32_t i = 0; i < peer->len; i++)
			(void)at[i];
	if (is("planless") && same.n_slots == 3)
		same.n_slots = 2;
	return open_channel(transport, &same, peer, channel, err);
}

static void *wrong_slot(void *channel, uint32_t slot)
{
	return (char *)slot_at(channel, slot) + (is("skewed") ? 8 : 0);
}

static int wrong_acquire(void *channel, uint32_t slot, struct pfw_error *err)
{
	int rc = acquire(channel, slot, err);

	return is("greedy") && rc == -EAGAIN ? 0 : rc;
}

static int wrong_send(void *channel, uint32_t slot, uint64_t bytes,
		      const struct pfw_message_id *id, struct pfw_error *err)
{
	struct pfw_message_id other = *id;

	if (is("mute"))
		err = NULL;
	if (is("twice"))
		other.sequence++;
	if (is("short") && bytes > 4096)
		bytes = 4096;
	return send_slot(channel, slot, bytes, &other, err);
}

static int wrong_wait(void *channel, uint32_t slot, uint64_t deadline)
{
	int rc = wait_for(channel, slot, deadline);

	return is("late") && rc == -ETIMEDOUT ? 0 : rc;
}

static int wrong_check(void *channel, struct pfw_error *err)
{
	return is("immortal") ? 0 : check_peer(channel, err);
}

static void wrong_stats(void *channel, struct pfw_channel_stats *out)
{
	stats(channel, out);
	if (is("copied"))
		out->copied_bytes = out->bytes;
}

static const struct pfw_transport_ops wrong_ops = {
	.size = sizeof(wrong_ops),
	.props = wrong_props,
	.open = wrong_open,
	.close = close_transport,
	.open_channel = wrong_open_channel,
	.close_channel = close_channel,
	.slot = wrong_slot,
	.acquire = wrong_acquire,
	.send = wrong_send,
	.recv = recv_slot,
	.release = release,
	.wait = wrong_wait,
	.check = wrong_check,
	.stats = wrong_stats,
};

PFW_API extern const struct pfw_plugin pfw_plugin;
const struct pfw_plugin pfw_plugin = {
	.abi = PFW_ABI,
	.struct_size = sizeof(struct pfw_plugin),
	.option_size = sizeof(struct pfw_option),
	.kind = PFW_KIND_TRANSPORT,
	.thread_model = PFW_THREAD_OBJECT,
	.name = "wrong",
	.version = PFW_PLUGIN_VERSION,
	.summary = "wrong in one way",
	PFW_OPTIONS(options),
	.ops = &wrong_ops,
};
