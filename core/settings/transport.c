/* The group that chooses transports and their filters. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "settings/read.h"

static const struct pfw_table none = { NULL, 0 };

static int read_filters(struct pfw_reader *r, const char *what,
			const config_setting_t *list,
			struct pfw_transport_choice *out)
{
	const config_setting_t *s;
	char name[48];
	unsigned n;
	int rc;

	if (!config_setting_is_list(list))
		return pfw_tree_refuse(r->tree, list, r->err, EINVAL,
				       "%s.filters must be a list of groups: "
				       "( { name = \"NAME\"; } )", what);
	n = (unsigned)config_setting_length(list);
	if (n > PFW_MAX_FILTERS)
		return pfw_tree_refuse(r->tree, list, r->err, EINVAL,
				       "%s.filters must be at most %u, found "
				       "%u", what, PFW_MAX_FILTERS, n);
	for (unsigned i = 0; i < n; i++) {
		s = config_setting_get_elem(list, i);
		snprintf(name, sizeof(name), "%s.filters.%u", what, i);
		rc = pfw_read_choice(r, PFW_KIND_FILTER, name, "name", s, NULL,
				     &none, &out->filters[i]);
		if (!rc)
			out->n_filters++;
		if (!rc)
			rc = pfw_read_missing(r, name, s,
					      out->filters[i].values);
		if (rc)
			return rc;
	}
	return 0;
}

static const config_setting_t *member(const config_setting_t *group,
				      const char *name)
{
	return group && config_setting_is_group(group) ?
		       config_setting_get_member(group, name) : NULL;
}

/* One transport: @p key is the member that names it. */
static int read_one(struct pfw_reader *r, const char *what, const char *key,
		    const config_setting_t *setting, const char *def,
		    struct pfw_transport_choice *out)
{
	static const struct pfw_option of_core[] = {
		{ .name = "filters" }, { .name = "name" }, { .name = "local" },
		{ .name = "remote" },
	};
	/* Outside of the uppermost group they are the plugin's, if anybody's. */
	const struct pfw_table core = { of_core,
					strcmp(what, "transport") ? 1 : 4 };
	const config_setting_t *list = member(setting, "filters");
	int rc;

	out->home = what;
	rc = pfw_read_choice(r, PFW_KIND_TRANSPORT, what, key, setting, def,
			     &core, &out->transport);
	if (!rc)
		rc = pfw_read_missing(r, what, setting, out->transport.values);
	if (!rc && list)
		rc = read_filters(r, what, list, out);
	return rc;
}

/* A group that has a group for each of the two has nothing else. */
static int check_alone(struct pfw_reader *r, const config_setting_t *group)
{
	for (unsigned i = 0; i < (unsigned)config_setting_length(group); i++) {
		const config_setting_t *s = config_setting_get_elem(group, i);
		const char *name = config_setting_name(s);

		if (strcmp(name, "local") && strcmp(name, "remote"))
			return pfw_tree_refuse(r->tree, s, r->err, EINVAL,
					       "transport.%s must be in "
					       "transport.local or in "
					       "transport.remote", name);
	}
	return 0;
}

int pfw_read_transport(struct pfw_reader *r, const config_setting_t *setting,
		       const char *def, struct pfw_transport_choice *out,
		       struct pfw_transport_choice *remote)
{
	const config_setting_t *near = member(setting, "local");
	const config_setting_t *far = member(setting, "remote");
	int rc = 0;

	if (near && member(setting, "name"))
		return pfw_tree_refuse(r->tree, near, r->err, EINVAL,
				       "transport.local and transport.name "
				       "are two words for one thing; leave one "
				       "out");
	if (near && config_setting_is_group(near)) {
		rc = check_alone(r, setting);
		if (!rc)
			rc = read_one(r, "transport.local", "name", near, def,
				      out);
	} else {
		rc = read_one(r, "transport", near ? "local" : "name", setting,
			      def, out);
	}
	if (!rc && far)
		rc = read_one(r, "transport.remote", "name", far, NULL, remote);
	return rc;
}
