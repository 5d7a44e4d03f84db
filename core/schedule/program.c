/* A finished program: taken apart, searched, and its actions in words. */
#include "schedule/program.h"

#include <stdio.h>
#include <stdlib.h>

void pfw_program_free(struct pfw_program *prog)
{
	if (!prog)
		return;
	for (uint32_t i = 0; prog->channels && i < prog->n_channels; i++)
		free(prog->channels[i].messages);
	for (uint32_t r = 0; prog->rank && r < prog->ranks; r++) {
		free(prog->rank[r].ops);
		free(prog->rank[r].posts);
		free(prog->rank[r].n_saved);
	}
	free(prog->rank);
	free(prog->channels);
	free(prog->chunk_of);
	free(prog->rank_of);
	free(prog);
}

uint32_t pfw_program_channel(const struct pfw_program *prog, uint32_t from,
			     uint32_t to, uint32_t kind)
{
	for (uint32_t i = 0; i < prog->n_channels; i++) {
		const struct pfw_channel *c = &prog->channels[i];

		if (c->from == from && c->to == to && c->kind == kind)
			return i;
	}
	return PFW_NONE;
}

void pfw_action_text(uint32_t type, uint32_t stage, uint32_t microbatch,
		     char *buf, size_t len)
{
	const char *word = pfw_action_name(type);

	if (stage == PFW_NONE)
		snprintf(buf, len, "%s", word);
	else if (type == PFW_SEND || type == PFW_RECV)
		snprintf(buf, len, "%u%s_F%u", stage, word, microbatch);
	else if (microbatch == PFW_NONE)
		snprintf(buf, len, "%u%s", stage, word);
	else
		snprintf(buf, len, "%u%s%u", stage, word, microbatch);
}
