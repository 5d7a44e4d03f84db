#include "data/dataset.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "data/order.h"

/** Each part must hold a sequence and the token after it. */
static int check_length(const struct pfw_dataset *set, uint32_t split,
			uint32_t seq, double validation, struct pfw_error *err)
{
	const struct pfw_split *s = &set->splits[split];
	const char *key = s->source == &set->extra ? "data.validation_file" :
						     "data.train";
	uint64_t n = s->to - s->from;
	char share[160] = "";

	if (n > seq)
		return 0;
	if (!s->source->bytes)
		return pfw_error_set(err, EINVAL,
				     "%s: is empty: name a text or token file as %s",
				     s->source->path, key);
	if (n < s->source->tokens)
		snprintf(share, sizeof(share),
			 ", %llu of them for %s (data.validation = %g)",
			 (unsigned long long)n,
			 split == PFW_SPLIT_TRAIN ? "training" : "validation",
			 validation);
	return pfw_error_set(err, EINVAL,
			     "%s: is too short as %s: it has %llu tokens%s, and one sequence needs %llu (the context and the one after): use a longer file or a smaller model.context",
			     s->source->path, key,
			     (unsigned long long)s->source->tokens, share,
			     (unsigned long long)seq + 1);
}

static int open_validation(struct pfw_dataset *set, const char *path,
			   const struct pfw_tokenizer *tok, double validation,
			   uint32_t vocab, struct pfw_error *err)
{
	struct pfw_split *train = &set->splits[PFW_SPLIT_TRAIN];
	struct pfw_split *valid = &set->splits[PFW_SPLIT_VALID];
	int rc;

	if (!path) {
		train->to -= (uint64_t)(validation * (double)train->to);
		*valid = (struct pfw_split){ &set->main, train->to,
					     set->main.tokens };
		return 0;
	}
	rc = pfw_source_open(&set->extra, path, tok, vocab, err);
	if (rc)
		return rc;
	set->has_validation_file = 1;
	*valid = (struct pfw_split){ &set->extra, 0, set->extra.tokens };
	return 0;
}

int pfw_dataset_open(const char *path, const char *validation_path,
		     const struct pfw_tokenizer *tok, double validation,
		     uint32_t vocab, uint32_t seq, struct pfw_dataset **out,
		     struct pfw_error *err)
{
	struct pfw_dataset *set;
	int rc;

	if (!(validation >= 0 && validation < 1))
		return pfw_error_set(err, EINVAL,
				     "validation = %g: a share of the tokens from 0 to below 1",
				     validation);
	set = calloc(1, sizeof(*set));
	if (!set)
		return pfw_error_set(err, ENOMEM, "%s: out of memory", path);
	set->extra.fd = -1;
	set->seq = seq;
	rc = pfw_source_open(&set->main, path, tok, vocab, err);
	if (rc)
		goto err_free;
	set->splits[PFW_SPLIT_TRAIN] = (struct pfw_split){ &set->main, 0,
							   set->main.tokens };
	rc = open_validation(set, validation_path, tok, validation, vocab, err);
	if (!rc)
		rc = check_length(set, PFW_SPLIT_TRAIN, seq, validation, err);
	if (!rc && (validation_path || validation > 0))
		rc = check_length(set, PFW_SPLIT_VALID, seq, validation, err);
	if (rc)
		goto err_free;
	*out = set;
	return 0;

err_free:
	pfw_dataset_close(set);
	return rc;
}

void pfw_dataset_close(struct pfw_dataset *set)
{
	if (!set)
		return;
	pfw_source_close(&set->extra);
	pfw_source_close(&set->main);
	free(set);
}

void pfw_dataset_info(const struct pfw_dataset *set,
		      struct pfw_dataset_info *out)
{
	const struct pfw_split *train = &set->splits[PFW_SPLIT_TRAIN];
	const struct pfw_split *valid = &set->splits[PFW_SPLIT_VALID];
	uint64_t hash = pfw_hash_u64(set->main.hash, set->main.tokens);

	*out = (struct pfw_dataset_info){
		.tokens = set->main.tokens + set->extra.tokens,
		.train_from = train->from, .train_to = train->to,
		.valid_from = valid->from, .valid_to = valid->to,
		/* the split too: it decides the order of the samples */
		.fingerprint = pfw_hash_u64(hash, train->to),
		.format = set->main.format,
		.byte_entropy = set->main.byte_entropy,
		.epoch = pfw_order_epoch(train->to - train->from, set->seq),
	};
}
