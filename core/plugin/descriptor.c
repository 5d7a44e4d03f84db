/* What a plugin exports, checked and copied. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/loader.h"
#include "settings/values.h"

/* What the first header of this ABI had: less is a descriptor cut short. */
#define LEAST_DESCRIPTOR                                                       \
	(offsetof(struct pfw_plugin, ops) + sizeof(const void *))
#define LEAST_OPTION (offsetof(struct pfw_option, max) + sizeof(double))
#define MOST_OPTIONS 256u

/* A member of an ops table that may not be NULL. */
struct required {
	size_t at;
	const char *name;
};

#define OP(table, member) { offsetof(struct table, member), #member }

static const struct required schedule_ops[] = {
	OP(pfw_schedule_ops, plan),
	{ 0, NULL },
};

static const struct required transport_ops[] = {
	OP(pfw_transport_ops, props),
	OP(pfw_transport_ops, open),
	OP(pfw_transport_ops, close),
	OP(pfw_transport_ops, open_channel),
	OP(pfw_transport_ops, close_channel),
	OP(pfw_transport_ops, slot),
	OP(pfw_transport_ops, acquire),
	OP(pfw_transport_ops, send),
	OP(pfw_transport_ops, recv),
	OP(pfw_transport_ops, release),
	OP(pfw_transport_ops, wait),
	OP(pfw_transport_ops, check),
	{ 0, NULL },
};

static const struct required stage_ops[] = {
	OP(pfw_stage_ops, open),
	OP(pfw_stage_ops, close),
	OP(pfw_stage_ops, n_layers),
	OP(pfw_stage_ops, layer),
	OP(pfw_stage_ops, boundary),
	OP(pfw_stage_ops, limits),
	OP(pfw_stage_ops, forward),
	OP(pfw_stage_ops, backward),
	{ 0, NULL },
};

static const struct required split_ops[] = {
	OP(pfw_stage_ops, backward_input),
	OP(pfw_stage_ops, backward_weight),
	{ 0, NULL },
};

static const struct required device_ops[] = {
	OP(pfw_device_ops, open),
	OP(pfw_device_ops, close),
	OP(pfw_device_ops, alloc),
	OP(pfw_device_ops, free),
	OP(pfw_device_ops, open_queue),
	OP(pfw_device_ops, close_queue),
	OP(pfw_device_ops, copy),
	OP(pfw_device_ops, zero),
	OP(pfw_device_ops, sync),
	OP(pfw_device_ops, kernels),
	{ 0, NULL },
};

static const struct required event_ops[] = {
	OP(pfw_device_ops, open_event),
	OP(pfw_device_ops, close_event),
	OP(pfw_device_ops, record),
	OP(pfw_device_ops, query),
	{ 0, NULL },
};

static int is_null(const void *table, size_t at)
{
	void (*op)(void);

	memcpy(&op, (const char *)table + at, sizeof(op));
	return !op;
}

static int check_ops(const struct required *r, const void *ops,
		     const char *path, uint32_t kind, struct pfw_error *err)
{
	for (; r->name; r++)
		if (is_null(ops, r->at))
			return pfw_error_set(err, EBADMSG, "%s: %s has no %s()",
					     path, pfw_kind_name(kind), r->name);
	return 0;
}

/* Members that go together: the first one is there, so all must be. */
static int check_pairs(const struct pfw_loaded *l, const char *path,
		       struct pfw_error *err)
{
	const struct pfw_stage_ops *stage = &l->ops.stage;
	const struct pfw_device_ops *device = &l->ops.device;

	switch (l->info.kind) {
	case PFW_KIND_STAGE:
		if ((stage->flags & PFW_STAGE_SPLITS) &&
		    check_ops(split_ops, stage, path, PFW_KIND_STAGE, err))
			return -EBADMSG;
		if (!stage->config_json != !stage->from_config_json)
			return pfw_error_set(err, EBADMSG, "%s: stage has only "
					     "one of config_json() and "
					     "from_config_json()", path);
		break;
	case PFW_KIND_DEVICE:
		for (const struct required *r = event_ops; r->name; r++)
			if (!is_null(device, r->at))
				return check_ops(event_ops, device, path,
						 PFW_KIND_DEVICE, err);
		break;
	}
	return 0;
}

static int copy_ops(const struct pfw_plugin *p, const char *path,
		    struct pfw_loaded *l, struct pfw_error *err)
{
	static const struct {
		size_t size;
		const struct required *required;
	} tables[] = {
		[PFW_KIND_SCHEDULE] = { sizeof(struct pfw_schedule_ops),
					schedule_ops },
		[PFW_KIND_TRANSPORT] = { sizeof(struct pfw_transport_ops),
					 transport_ops },
		[PFW_KIND_FILTER] = { sizeof(struct pfw_transport_ops),
				      transport_ops },
		[PFW_KIND_STAGE] = { sizeof(struct pfw_stage_ops), stage_ops },
		[PFW_KIND_DEVICE] = { sizeof(struct pfw_device_ops),
				      device_ops },
	};
	size_t size, ours = tables[p->kind].size;
	int rc;

	if (!p->ops)
		return pfw_error_set(err, EBADMSG, "%s: the descriptor has no "
				     "ops", path);
	memcpy(&size, p->ops, sizeof(size));
	if (size < sizeof(size))
		return pfw_error_set(err, EBADMSG, "%s: its ops say they have "
				     "%zu bytes; .size must be sizeof(struct "
				     "...)", path, size);
	if (size > ours)
		size = ours;
	memcpy(&l->ops, p->ops, size);
	/* All tables begin with it; from now on it is the size of our copy. */
	memcpy(&l->ops, &ours, sizeof(ours));
	rc = check_ops(tables[p->kind].required, &l->ops, path, p->kind, err);
	if (!rc)
		rc = check_pairs(l, path, err);
	return rc;
}

/* Keys that the core reads from the same group itself. */
static const char *reserved(uint32_t kind, const struct pfw_option *options,
			    uint32_t n)
{
	static const struct {
		uint32_t kind;
		const char *name;
	} words[] = {
		{ 0, "name" },
		{ PFW_KIND_STAGE, "stage" },
		{ PFW_KIND_TRANSPORT, "filters" },
		{ PFW_KIND_TRANSPORT, "local" },
		{ PFW_KIND_TRANSPORT, "remote" },
		{ PFW_KIND_DEVICE, "dtype" },
		{ PFW_KIND_DEVICE, "rounding" },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if ((!words[i].kind || words[i].kind == kind) &&
		    pfw_option_find(options, n, words[i].name) != PFW_NONE)
			return words[i].name;
	return NULL;
}

static int copy_options(const struct pfw_plugin *p, const char *path,
			struct pfw_loaded *l, struct pfw_error *err)
{
	size_t stride = p->option_size, size = sizeof(struct pfw_option);
	struct pfw_option *options;
	const char *word;
	int rc;

	if (p->n_options == 0)
		return 0;
	if (!p->options || p->n_options > MOST_OPTIONS || stride < LEAST_OPTION)
		return pfw_error_set(err, EBADMSG, "%s: its option table is "
				     "%s with %u options of %zu bytes; set it by "
				     "PFW_OPTIONS(table)", path, p->options ?
				     "there" : "NULL", p->n_options, stride);
	options = calloc(p->n_options, size);
	if (!options)
		return pfw_error_set(err, ENOMEM, "%s: out of memory", path);
	l->info.options = options;
	if (size > stride)
		size = stride;
	for (uint32_t i = 0; i < p->n_options; i++)
		memcpy(&options[i], (const char *)p->options + i * stride, size);
	rc = pfw_option_check_table(options, p->n_options, err);
	if (rc) {
		pfw_error_prefix(err, "%s: ", path);
		return rc;
	}
	word = reserved(p->kind, options, p->n_options);
	if (word)
		return pfw_error_set(err, EBADMSG, "%s: no option of a %s may be "
				     "called \"%s\": the config has another use "
				     "for that key", path,
				     pfw_kind_name(p->kind), word);
	return 0;
}

static int check_descriptor(const struct pfw_plugin *p, const char *path,
			    uint32_t kind, const char *name,
			    struct pfw_error *err)
{
	if (p->kind != kind && !pfw_kind_name(p->kind))
		return pfw_error_set(err, EINVAL, "%s: of the unknown kind %u",
				     path, p->kind);
	if (p->kind != kind)
		return pfw_error_set(err, EINVAL, "%s: calls itself a %s, its "
				     "file's name says %s", path,
				     pfw_kind_name(p->kind),
				     pfw_kind_name(kind));
	if (p->thread_model < PFW_THREAD_SINGLE ||
	    p->thread_model > PFW_THREAD_PARALLEL)
		return pfw_error_set(err, EINVAL, "%s: of the unknown thread "
				     "model %u", path, p->thread_model);
	if (!p->name || strcmp(p->name, name) != 0)
		return pfw_error_set(err, EINVAL, "%s: calls itself \"%.60s\", "
				     "not \"%s\"", path, p->name ? p->name : "",
				     name);
	if (!p->version || !p->summary)
		return pfw_error_set(err, EBADMSG, "%s: has no %s", path,
				     p->version ? "summary" : "version");
	return 0;
}

int pfw_descriptor_copy(const struct pfw_plugin *theirs, const char *path,
			uint32_t kind, const char *name,
			struct pfw_loaded *loaded, struct pfw_error *err)
{
	struct pfw_plugin p = { 0 };
	uint32_t size;
	int rc;

	/* Of another ABI no other member means what it means here. */
	if (theirs->abi != PFW_ABI)
		return pfw_error_set(err, EPROTONOSUPPORT, "%s: plugin ABI is "
				     "%u, this pipefw has %u; build it against "
				     "this pipefw's headers", path,
				     theirs->abi, PFW_ABI);
	size = theirs->struct_size;
	if (size < LEAST_DESCRIPTOR)
		return pfw_error_set(err, EBADMSG, "%s: the descriptor is cut "
				     "short: %u bytes, at least %zu are needed",
				     path, size, LEAST_DESCRIPTOR);
	memcpy(&p, theirs, size < sizeof(p) ? size : sizeof(p));
	rc = check_descriptor(&p, path, kind, name, err);
	if (rc)
		return rc;
	loaded->info = p;
	loaded->info.struct_size = sizeof(p);
	loaded->info.option_size = sizeof(struct pfw_option);
	loaded->info.options = NULL;
	loaded->info.ops = &loaded->ops;
	rc = copy_ops(&p, path, loaded, err);
	return rc ? rc : copy_options(&p, path, loaded, err);
}
