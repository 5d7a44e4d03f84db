/*
 * config.json as transformers' GPT2Config reads and writes it, and the names of
 * tensors in files made by others.
 */
#include "gpt2.h"

#include <errno.h>
#include <pipefw/json.h>
#include <stdio.h>
#include <string.h>

size_t gpt2_config_json(void *model, const char *extra, char *buf, size_t len)
{
	const struct gpt2 *m = model;
	/* The id of <|endoftext|> where the vocabulary is GPT-2's own. */
	const char *end = m->vocab == 50257 ? "50256" : "null";
	int n = snprintf(buf, len,
			 "{\n"
			 "  \"architectures\": [\"GPT2LMHeadModel\"],\n"
			 "  \"model_type\": \"gpt2\",\n"
			 "  \"n_layer\": %u,\n"
			 "  \"n_head\": %u,\n"
			 "  \"n_embd\": %u,\n"
			 "  \"n_positions\": %u,\n"
			 "  \"n_ctx\": %u,\n"
			 "  \"vocab_size\": %u,\n"
			 "  \"activation_function\": \"gelu_new\",\n"
			 "  \"layer_norm_epsilon\": 1e-05,\n"
			 "  \"initializer_range\": 0.02,\n"
			 "  \"resid_pdrop\": 0.0,\n"
			 "  \"embd_pdrop\": 0.0,\n"
			 "  \"attn_pdrop\": 0.0,\n"
			 "  \"tie_word_embeddings\": true,\n"
			 "  \"bos_token_id\": %s,\n"
			 "  \"eos_token_id\": %s,\n"
			 "  \"torch_dtype\": \"float32\"%s%s\n"
			 "}\n",
			 m->layers, m->heads, m->hidden, m->context, m->context,
			 m->vocab, end, end, *extra ? ",\n  " : "", extra);

	return n < 0 ? 0 : (size_t)n;
}

/* What the config may say, and what it must then be for this stage. */
static const struct {
	const char *name;
	const char *allowed[3];
} words[] = {
	{ "model_type", { "gpt2" } },
	{ "activation_function", { "gelu_new", "gelu_pytorch_tanh" } },
	{ "tie_word_embeddings", { "true" } },
	{ "scale_attn_weights", { "true" } },
	{ "scale_attn_by_inverse_layer_idx", { "false" } },
	{ "add_cross_attention", { "false" } },
	{ "layer_norm_epsilon", { "1e-05", "1e-5", "0.00001" } },
};

/* A scalar as text: a string's characters, a number as written. */
static const char *scalar_text(const struct pfw_json *v)
{
	int truth;

	if (!pfw_json_bool(v, &truth))
		return truth ? "true" : "false";
	return pfw_json_text(v);
}

static int check_words(const struct pfw_json *root, struct pfw_error *err)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const struct pfw_json *v = pfw_json_get(root, words[i].name);
		const char *text = scalar_text(v);
		int good = !v || pfw_json_kind(v) == PFW_JSON_NULL;

		for (size_t k = 0; k < 3 && text && words[i].allowed[k]; k++)
			good |= !strcmp(text, words[i].allowed[k]);
		if (!good)
			return pfw_error_set(err, EINVAL,
					     "line %u: %s is %.80s; this stage "
					     "computes %s only",
					     pfw_json_line(v), words[i].name,
					     text ? text : pfw_json_kind_text(v),
					     words[i].allowed[0]);
	}
	return 0;
}

/* The MLP is four times as wide as the rest; null and nothing mean the same. */
static int check_inner(const struct pfw_json *root, struct pfw_error *err)
{
	const struct pfw_json *v = pfw_json_get(root, "n_inner");
	uint64_t inner, width;

	if (!v || pfw_json_kind(v) == PFW_JSON_NULL)
		return 0;
	if (!pfw_json_u64(v, &inner) &&
	    !pfw_json_u64(pfw_json_get(root, "n_embd"), &width) &&
	    inner == 4 * width)
		return 0;
	return pfw_error_set(err, EINVAL, "line %u: n_inner is %.80s; this "
			     "stage computes 4 times n_embd only",
			     pfw_json_line(v), pfw_json_text(v) ?
			     pfw_json_text(v) : pfw_json_kind_text(v));
}

static const struct {
	const char *option;
	const char *name;
} sizes[] = {
	{ "layers", "n_layer" }, { "heads", "n_head" }, { "hidden", "n_embd" },
	{ "context", "n_positions" }, { "vocab", "vocab_size" },
};

int gpt2_from_config_json(const char *text, size_t len,
			  int (*set)(void *ctx, const char *name,
				     const char *value, struct pfw_error *err),
			  void *ctx, struct pfw_error *err)
{
	struct pfw_json_doc *doc;
	const struct pfw_json *root;
	int rc = pfw_json_parse(text, len, &doc, err);

	if (rc)
		return rc;
	root = pfw_json_root(doc);
	rc = check_words(root, err);
	if (!rc)
		rc = check_inner(root, err);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && !rc; i++) {
		const struct pfw_json *v = pfw_json_get(root, sizes[i].name);
		uint64_t n;

		if (pfw_json_u64(v, &n))
			rc = pfw_error_set(err, EINVAL,
					   "%s is %s: a model of this stage "
					   "has a whole number there",
					   sizes[i].name, pfw_json_kind_text(v));
		else
			rc = set(ctx, sizes[i].option, pfw_json_text(v), err);
	}
	pfw_json_free(doc);
	return rc;
}

/* The causal mask, which older files hold: "h.N.attn.bias", ".masked_bias". */
static int is_mask(const char *name)
{
	const char *last = strstr(name, ".attn.");

	return last && (!strcmp(last, ".attn.bias") ||
			!strcmp(last, ".attn.masked_bias"));
}

int gpt2_matches(void *model, const char *param, const char *name)
{
	static const char prefix[] = "transformer.";
	const size_t n = sizeof(prefix) - 1;

	(void)model;
	if (!param)
		return is_mask(name) || !strcmp(name, "lm_head.weight");
	if (!strcmp(param, name))
		return 1;
	return !strncmp(param, prefix, n) && !strcmp(param + n, name);
}
