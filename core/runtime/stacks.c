/* Which transport leads to which rank, and opening those. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/rank.h"

static int open_layer(struct pfw_rank *rank, struct pfw_stack *stack,
		      const struct pfw_choice *choice,
		      struct pfw_address *self, struct pfw_error *err)
{
	const struct pfw_transport_ops *ops = &choice->plugin->ops.transport;
	struct pfw_transport_info info = {
		.size = sizeof(info),
		.rank = rank->rank,
		.ranks = rank->boot->ranks,
		.job = rank->boot->place->job,
		.spin_ns = rank->has_core ? PFW_SPIN_NS : 0,
		.host = rank->boot->place->host,
		.address = rank->boot->place->address,
		.key = rank->boot->place->key,
	};
	struct pfw_below *layer = &stack->layers[stack->n_layers];
	int rc = ops->open(choice->values, &info,
			   stack->n_layers ? layer - 1 : NULL,
			   &layer->transport, self, err);

	if (rc)
		return rc;
	layer->ops = ops;
	stack->n_layers++;
	return 0;
}

static const struct pfw_transport_choice *choice_of(const struct pfw_rank *rank,
						    uint32_t which)
{
	const struct pfw_config *cfg = rank->job->cfg;

	return which == PFW_STACK_REMOTE ? &cfg->remote : &cfg->transport;
}

static int open_stack(struct pfw_rank *rank, uint32_t which,
		      struct pfw_error *err)
{
	const struct pfw_transport_choice *choice = choice_of(rank, which);
	struct pfw_stack *stack = &rank->stacks[which];
	struct pfw_address self = { 0 };
	struct pfw_transport_props props;
	char key[PFW_BOOT_KEY_MAX];
	int rc = open_layer(rank, stack, &choice->transport, &self, err);

	for (uint32_t i = 0; !rc && i < choice->n_filters; i++)
		rc = open_layer(rank, stack, &choice->filters[i], &self, err);
	if (rc)
		return rc;
	pfw_job_transport_props(choice, &props);
	stack->memory = props.memory;
	stack->receive = props.receive;
	snprintf(key, sizeof(key), "address/%u/%u", which, rank->rank);
	return rank->boot->ops->put(rank->boot, key, &self, sizeof(self), err);
}

int pfw_rank_get(struct pfw_rank *rank, const char *key, void *out, size_t size,
		 struct pfw_error *err)
{
	size_t len;
	int rc = rank->boot->ops->get(rank->boot, key, out, size, &len,
				      pfw_rank_start_deadline(rank), err);

	if (!rc && len != size)
		rc = pfw_error_set(err, EPROTO, "boot value %s has %zu bytes, "
				   "not %zu", key, len, size);
	return rc;
}

static void mark_peers(struct pfw_rank *rank)
{
	for (uint32_t i = 0; i < rank->job->n_edges; i++) {
		const struct pfw_edge *edge = &rank->job->edges[i];

		if (edge->from == edge->to)
			continue;
		if (edge->from == rank->rank)
			rank->peers[edge->to].known = 1;
		if (edge->to == rank->rank)
			rank->peers[edge->from].known = 1;
	}
}

/* Memory that both ends see is of one host. */
static int check_reach(const struct pfw_rank *rank, uint32_t peer,
		       struct pfw_error *err)
{
	const struct pfw_transport_choice *choice =
		choice_of(rank, rank->peers[peer].stack);
	struct pfw_transport_props props;

	pfw_job_transport_props(choice, &props);
	if (!props.shared_slots)
		return 0;
	return pfw_error_set(err, EINVAL,
			     "ranks %u and %u are on two hosts, and transport "
			     "%s joins ranks of one: set transport.remote to "
			     "one that joins hosts (tcp; pipefw list "
			     "transports has all)", rank->rank, peer,
			     choice->transport.plugin->info.name);
}

static int find_peer(struct pfw_rank *rank, uint32_t r, struct pfw_error *err)
{
	struct pfw_peer *peer = &rank->peers[r];
	char key[PFW_BOOT_KEY_MAX];
	int rc;

	snprintf(key, sizeof(key), "host/%u", r);
	rc = pfw_rank_get(rank, key, peer->host, sizeof(peer->host), err);
	if (rc || !strcmp(peer->host, rank->boot->place->host))
		return rc;
	if (rank->job->cfg->remote.transport.plugin)
		peer->stack = PFW_STACK_REMOTE;
	return check_reach(rank, r, err);
}

static int find_peers(struct pfw_rank *rank, struct pfw_error *err)
{
	const struct pfw_place *place = rank->boot->place;
	char key[PFW_BOOT_KEY_MAX];
	int rc;

	snprintf(key, sizeof(key), "host/%u", rank->rank);
	rc = rank->boot->ops->put(rank->boot, key, place->host,
				  sizeof(place->host), err);
	for (uint32_t r = 0; !rc && r < rank->boot->ranks; r++)
		if (rank->peers[r].known)
			rc = find_peer(rank, r, err);
	return rc;
}

static int leads_anywhere(const struct pfw_rank *rank, uint32_t which)
{
	for (uint32_t r = 0; r < rank->boot->ranks; r++)
		if (rank->peers[r].known && rank->peers[r].stack == which)
			return 1;
	return 0;
}

int pfw_rank_open_stacks(struct pfw_rank *rank, struct pfw_error *err)
{
	char key[PFW_BOOT_KEY_MAX];
	int rc;

	rank->peers = calloc(rank->boot->ranks, sizeof(*rank->peers));
	if (!rank->peers)
		return pfw_error_set(err, ENOMEM, "out of memory");
	mark_peers(rank);
	rc = find_peers(rank, err);
	for (uint32_t i = 0; !rc && i < PFW_STACKS; i++)
		if (leads_anywhere(rank, i))
			rc = open_stack(rank, i, err);
	for (uint32_t r = 0; !rc && r < rank->boot->ranks; r++) {
		struct pfw_peer *peer = &rank->peers[r];

		if (!peer->known)
			continue;
		snprintf(key, sizeof(key), "address/%u/%u", peer->stack, r);
		rc = pfw_rank_get(rank, key, &peer->address,
				  sizeof(peer->address), err);
	}
	return rc;
}

#define USES 8u /* that are told, if ranks differ */

/* What ranks' transports use, and which ranks say so. */
struct use {
	char text[512];
	uint32_t first, more;
};

static int put_use(struct pfw_rank *rank, uint32_t which, struct pfw_error *err)
{
	const struct pfw_stack *stack = &rank->stacks[which];
	char key[PFW_BOOT_KEY_MAX], text[512] = "";

	if (stack->n_layers)
		stack->layers[0].ops->describe(stack->layers[0].transport, text,
					       sizeof(text));
	snprintf(key, sizeof(key), "uses/%u/%u", which, rank->rank);
	return rank->boot->ops->put(rank->boot, key, text, sizeof(text), err);
}

/* @p n of them; the ranks of all others are counted by @p left. */
static void add_use(struct use list[USES], uint32_t *n, uint32_t *left,
		    const char text[512], uint32_t rank)
{
	for (uint32_t i = 0; i < *n; i++)
		if (!strcmp(list[i].text, text)) {
			list[i].more++;
			return;
		}
	if (*n == USES) {
		++*left;
		return;
	}
	memcpy(list[*n].text, text, sizeof(list->text));
	list[*n].first = rank;
	list[(*n)++].more = 0;
}

static int gather_uses(struct pfw_rank *rank, uint32_t which,
		       struct use list[USES], uint32_t *n, uint32_t *left,
		       struct pfw_error *err)
{
	char key[PFW_BOOT_KEY_MAX], text[512];
	int rc = 0;

	*n = *left = 0;
	for (uint32_t r = 0; !rc && r < rank->boot->ranks; r++) {
		snprintf(key, sizeof(key), "uses/%u/%u", which, r);
		rc = pfw_rank_get(rank, key, text, sizeof(text), err);
		if (!rc && *text)
			add_use(list, n, left, text, r);
	}
	return rc;
}

/* A line where all are alike, else one for each kind of them. */
static int tell_uses(struct pfw_rank *rank, uint32_t which, struct pfw_error *err)
{
	const char *name = choice_of(rank, which)->transport.plugin->info.name;
	struct pfw_event event = { .type = PFW_EVENT_NOTE };
	struct use list[USES];
	uint32_t n, left;
	char of[64] = "";
	int rc = gather_uses(rank, which, list, &n, &left, err);

	for (uint32_t i = 0; !rc && i < n; i++) {
		if (n > 1 && list[i].more)
			snprintf(of, sizeof(of), " (rank %u and %u more)",
				 list[i].first, list[i].more);
		else if (n > 1)
			snprintf(of, sizeof(of), " (rank %u)", list[i].first);
		snprintf(event.text, sizeof(event.text), "  %-10s %.511s%s", name,
			 list[i].text, of);
		rc = rank->boot->ops->tell(rank->boot, &event, err);
	}
	if (rc || !left)
		return rc;
	snprintf(event.text, sizeof(event.text), "  %-10s %u more ranks differ from "
		 "these", name, left);
	return rank->boot->ops->tell(rank->boot, &event, err);
}

/* What lies below all filters tells what it uses. */
int pfw_rank_tell_transports(struct pfw_rank *rank, struct pfw_error *err)
{
	int rc = 0;

	for (uint32_t i = 0; !rc && i < PFW_STACKS; i++) {
		const struct pfw_loaded *plugin =
			choice_of(rank, i)->transport.plugin;

		if (!plugin || !plugin->ops.transport.describe)
			continue;
		rc = put_use(rank, i, err);
		if (!rc && !rank->rank)
			rc = tell_uses(rank, i, err);
	}
	return rc;
}

void pfw_rank_close_stacks(struct pfw_rank *rank)
{
	for (uint32_t i = 0; i < PFW_STACKS; i++) {
		struct pfw_stack *stack = &rank->stacks[i];

		while (stack->n_layers) {
			struct pfw_below *layer =
				&stack->layers[--stack->n_layers];

			layer->ops->close(layer->transport);
		}
	}
	free(rank->peers);
	rank->peers = NULL;
}
