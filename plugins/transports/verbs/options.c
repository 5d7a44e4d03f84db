#include "options.h"

#include <string.h>

const struct pfw_option verbs_option_table[] = {
	{ .name = "rails", .type = PFW_OPT_STRING,
	  .help = "ports to use, \"DEVICE[:PORT],...\", up to 4; the first one that "
		  "is active, unless given" },
	{ .name = "gid_index", .type = PFW_OPT_INT, .def = "-1", .min = -1,
	  .max = 1023,
	  .help = "row of the port's GID table; -1: RoCE v2, by the route to the "
		  "peer" },
	{ .name = "qps", .type = PFW_OPT_INT, .def = "1", .min = 1, .max = 4,
	  .help = "queue pairs of each rail and connection" },
	{ .name = "timeout", .type = PFW_OPT_INT, .def = "18", .min = 1, .max = 31,
	  .help = "an attempt lasts 4.096 us times 2 to the power of this" },
	{ .name = "retry_cnt", .type = PFW_OPT_INT, .def = "6", .max = 7,
	  .help = "how often an attempt is repeated; 7: for ever, to Soft-RoCE" },
	{ .name = "rnr_retry", .type = PFW_OPT_INT, .def = "7", .max = 7,
	  .help = "the same where a receiver is not ready; 7: for ever" },
	{ .name = "sl", .type = PFW_OPT_INT, .def = "0", .max = 15,
	  .help = "service level (InfiniBand), priority (RoCE with VLAN)" },
	{ .name = "traffic_class", .type = PFW_OPT_INT, .def = "0", .max = 255,
	  .help = "traffic class of the GRH: four times the DSCP, plus ECN bits" },
	{ .name = "notify", .type = PFW_OPT_CHOICE, .def = "auto",
	  .choices = "auto|immediate|send",
	  .help = "what ends a message: WRITE_WITH_IMM, or a SEND after the WRITE; "
		  "auto: a SEND where a device of either end has no WRITE_WITH_IMM" },
};

_Static_assert(sizeof(verbs_option_table) / sizeof(verbs_option_table[0]) ==
	       VERBS_N_OPTIONS, "the header says how many");

static enum verbs_notify read_notify(const struct pfw_values *opt)
{
	const char *text = pfw_value_string(opt, "notify");

	return !strcmp(text, "auto") ? VERBS_NOTIFY_AUTO :
	       !strcmp(text, "send") ? VERBS_NOTIFY_SEND : VERBS_NOTIFY_IMMEDIATE;
}

void verbs_options_read(const struct pfw_values *opt, struct verbs_options *out)
{
	*out = (struct verbs_options){
		.rails = pfw_value_string(opt, "rails"),
		.gid_index = (int)pfw_value_int(opt, "gid_index"),
		.qps = (uint32_t)pfw_value_int(opt, "qps"),
		.timeout = (uint8_t)pfw_value_int(opt, "timeout"),
		.retry_cnt = (uint8_t)pfw_value_int(opt, "retry_cnt"),
		.rnr_retry = (uint8_t)pfw_value_int(opt, "rnr_retry"),
		.sl = (uint8_t)pfw_value_int(opt, "sl"),
		.traffic_class = (uint8_t)pfw_value_int(opt, "traffic_class"),
		.notify = read_notify(opt),
	};
}

double verbs_give_up_s(const struct verbs_options *o)
{
	return 4.096e-6 * (double)(1u << o->timeout) * (o->retry_cnt + 1);
}
