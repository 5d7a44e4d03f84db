/* The group that chooses devices: one, and for some ranks others. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/ranks.h"
#include "settings/read.h"

uint32_t pfw_config_device_of(const struct pfw_config *cfg, uint32_t rank)
{
	for (uint32_t i = 0; i < cfg->n_exceptions; i++)
		if (rank >= cfg->exceptions[i].first &&
		    rank <= cfg->exceptions[i].last)
			return i + 1;
	return 0;
}

const struct pfw_choice *pfw_config_device(const struct pfw_config *cfg,
					   uint32_t index)
{
	return index ? &cfg->exceptions[index - 1].device : &cfg->device;
}

static int read_ranks(struct pfw_reader *r, const char *what,
		      const config_setting_t *group, struct pfw_config *cfg)
{
	struct pfw_device_choice *e = &cfg->exceptions[cfg->n_exceptions];
	const config_setting_t *s = config_setting_get_member(group, "ranks");
	char buf[PFW_LITERAL_STRING_MAX];
	const char *text = NULL;
	uint32_t n, other;

	if (s && config_setting_type(s) == CONFIG_TYPE_STRING)
		text = pfw_setting_string(s, buf);
	if (!text || pfw_ranks_parse(text, cfg->pipeline.ranks, &e->first, &n))
		return pfw_tree_refuse(r->tree, s ? s : group, r->err, EINVAL,
				       "%s.ranks must be \"A\" or \"A-B\", of "
				       "ranks 0 to %u (pipeline.ranks)", what,
				       cfg->pipeline.ranks - 1);
	e->last = e->first + n - 1;
	for (uint32_t rank = e->first; rank <= e->last; rank++) {
		other = pfw_config_device_of(cfg, rank);
		if (other)
			return pfw_tree_refuse(r->tree, s, r->err, EINVAL,
					       "%s.ranks: rank %u is in "
					       "device.except.%u already", what,
					       rank, other - 1);
	}
	return 0;
}

static int read_exception(struct pfw_reader *r, const config_setting_t *group,
			  struct pfw_config *cfg)
{
	static const struct pfw_option of_core[] = { { .name = "ranks" } };
	static const struct pfw_table core = { of_core, 1 };
	struct pfw_choice *device = &cfg->exceptions[cfg->n_exceptions].device;
	char what[48];
	int rc;

	snprintf(what, sizeof(what), "device.except.%u", cfg->n_exceptions);
	if (!config_setting_is_group(group))
		return pfw_tree_refuse(r->tree, group, r->err, EINVAL,
				       "%s must be a group: { ranks = \"0-1\"; "
				       "name = \"cpu\"; }", what);
	rc = read_ranks(r, what, group, cfg);
	if (!rc)
		rc = pfw_read_choice(r, PFW_KIND_DEVICE, what, "name", group,
				     NULL, &core, device);
	if (rc)
		return rc;
	cfg->n_exceptions++;
	return pfw_read_missing(r, what, group, device->values);
}

static int read_exceptions(struct pfw_reader *r, const config_setting_t *list,
			   struct pfw_config *cfg)
{
	unsigned n = (unsigned)config_setting_length(list);
	int rc = 0;

	if (!config_setting_is_list(list))
		return pfw_tree_refuse(r->tree, list, r->err, EINVAL,
				       "device.except must be a list of groups: "
				       "( { ranks = \"0-1\"; name = \"cpu\"; } )");
	if (n > PFW_MAX_EXCEPTIONS)
		return pfw_tree_refuse(r->tree, list, r->err, EINVAL,
				       "device.except must be at most %u, found "
				       "%u", PFW_MAX_EXCEPTIONS, n);
	for (unsigned i = 0; i < n && !rc; i++)
		rc = read_exception(r, config_setting_get_elem(list, i), cfg);
	return rc;
}

int pfw_read_devices(struct pfw_reader *r, const config_setting_t *setting,
		     const char *def, const struct pfw_table *core,
		     struct pfw_config *cfg)
{
	const config_setting_t *list = NULL;
	int rc = pfw_read_choice(r, PFW_KIND_DEVICE, "device", "name", setting,
				 def, core, &cfg->device);

	if (!rc)
		rc = pfw_read_missing(r, "device", setting, cfg->device.values);
	if (setting && config_setting_is_group(setting))
		list = config_setting_get_member(setting, "except");
	return rc || !list ? rc : read_exceptions(r, list, cfg);
}
