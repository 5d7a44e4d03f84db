#include "conform/conform.h"

#include <string.h>

const struct pfw_suite *pfw_suite_of(uint32_t kind)
{
	static const struct pfw_suite *const suites[] = {
		&pfw_suite_schedule,
		&pfw_suite_transport,
		&pfw_suite_filter,
		&pfw_suite_stage,
	};

	for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
		if (suites[i]->kind == kind)
			return suites[i];
	return NULL;
}

/* Constructors run here, where they can do no harm. */
static void loads(struct pfw_trial *t)
{
	struct pfw_loading *l = (struct pfw_loading *)t;
	const struct pfw_loaded *plugin;
	struct pfw_error err = { 0 };

	pfw_trial_doing(t, "loading it");
	if (!pfw_registry_get(t->registry, l->kind, l->name, &plugin, &err))
		return;
	t->verdict->found.code = err.code;
	pfw_trial_refuse(t, "%s", err.text);
}

const struct pfw_check pfw_check_loads = {
	"loads",
	"pipefw/plugin.h: one exported symbol, made by PFW_PLUGIN(); "
	"pipefw-plugin(7), WHAT IS REFUSED",
	"mend what the sentence names, and build it again",
	30, loads,
};
