/*
 * One plugin of each kind that does nothing, for tests of the config reader and
 * of the command line: KIND says which.
 */
#include <pipefw/device.h>
#include <pipefw/schedule.h>
#include <pipefw/stage.h>
#include <pipefw/transport.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct pfw_option options[] = {
#if KIND == 4
	{ "layers", PFW_OPT_INT, 0, "!", "number of layers", NULL, 1, 1000 },
#endif
	{ "size", PFW_OPT_INT, 0, "4", "a size in 64 bits", NULL, 0, 0x1p63 },
	{ "speed", PFW_OPT_FLOAT, 0, "1.5", "a speed", NULL, 0, HUGE_VAL },
	{ "loud", PFW_OPT_BOOL, 0, "false", "whether it is loud", NULL, 0, 0 },
	{ "colour", PFW_OPT_CHOICE, 0, "red", "a colour", "red|green", 0, 0 },
	{ "label", PFW_OPT_STRING, 0, NULL, "any text", NULL, 0, 0 },
	{ "file", PFW_OPT_STRING, PFW_OPTION_PATH, NULL, "a path", NULL, 0, 0 },
	{ "weights", PFW_OPT_FLOATS, 0, "1 2", "numbers", NULL, -9, 9 },
};

/* Never called: the loader only looks whether they are there. */
static int no(void)
{
	return -ENOSYS;
}

#define MEMBER(table, m)                                                       \
	.m = (__typeof__(((struct table *)0)->m))(void (*)(void))no

#if KIND == 2 || KIND == 3
static int probe(char *why, size_t len)
{
	snprintf(why, len, "no such hardware; buy some");
	return -ENODEV;
}

static void props(const struct pfw_values *opt, struct pfw_transport_props *out)
{
	(void)opt;
	(void)out;
}

static const struct pfw_transport_ops ops = {
	.size = sizeof(ops), .probe = probe, .props = props,
	MEMBER(pfw_transport_ops, open),
	MEMBER(pfw_transport_ops, close),
	MEMBER(pfw_transport_ops, open_channel),
	MEMBER(pfw_transport_ops, close_channel),
	MEMBER(pfw_transport_ops, slot),
	MEMBER(pfw_transport_ops, acquire),
	MEMBER(pfw_transport_ops, send),
	MEMBER(pfw_transport_ops, recv),
	MEMBER(pfw_transport_ops, release),
	MEMBER(pfw_transport_ops, wait),
	MEMBER(pfw_transport_ops, check),
};
#elif KIND == 4
/* "layers=N": all that its config.json says. */
static size_t config_json(void *model, const char *extra, char *buf, size_t len)
{
	(void)model;
	return (size_t)snprintf(buf, len, "layers=4%s", extra);
}

static int from_config_json(const char *text, size_t len,
			    int (*set)(void *, const char *, const char *,
				       struct pfw_error *),
			    void *ctx, struct pfw_error *err)
{
	char value[16] = "";

	if (len < 7 || strncmp(text, "layers=", 7) != 0)
		return pfw_error_set(err, EINVAL, "it does not say layers=N");
	strncat(value, text + 7, sizeof(value) - 1);
	return set(ctx, "layers", value, err);
}

static const struct pfw_stage_ops ops = {
	.size = sizeof(ops), .config_json = config_json,
	.from_config_json = from_config_json,
	MEMBER(pfw_stage_ops, open),
	MEMBER(pfw_stage_ops, close),
	MEMBER(pfw_stage_ops, n_layers),
	MEMBER(pfw_stage_ops, layer),
	MEMBER(pfw_stage_ops, boundary),
	MEMBER(pfw_stage_ops, limits),
	MEMBER(pfw_stage_ops, forward),
	MEMBER(pfw_stage_ops, backward),
};
#elif KIND == 5
static const struct pfw_device_ops ops = {
	.size = sizeof(ops),
	MEMBER(pfw_device_ops, open),
	MEMBER(pfw_device_ops, close),
	MEMBER(pfw_device_ops, alloc),
	MEMBER(pfw_device_ops, free),
	MEMBER(pfw_device_ops, open_queue),
	MEMBER(pfw_device_ops, close_queue),
	MEMBER(pfw_device_ops, copy),
	MEMBER(pfw_device_ops, zero),
	MEMBER(pfw_device_ops, sync),
	MEMBER(pfw_device_ops, kernels),
};
#endif

PFW_PLUGIN(.kind = KIND, .thread_model = PFW_THREAD_OBJECT, .name = "probe",
	   .summary = "does nothing", PFW_OPTIONS(options), .ops = &ops);
