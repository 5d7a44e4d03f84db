#include "model/layout.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A layout string on its way through the layers. */
struct parser {
	const char *text, *at;
	const struct pfw_layer *layers;
	uint32_t n_layers, placed;
	struct pfw_model_stage *stages;
	uint32_t n_stages, stage;
	struct pfw_error *err;
};

/* The shortest word for what begins at *l, of which @p n are left; and its layers. */
static char word_at(const struct pfw_layer *l, uint32_t n, uint32_t *layers)
{
	const int whole = l->whole && l->n_whole <= n;

	*layers = whole ? l->n_whole : 1;
	return whole ? l->whole : l->letter;
}

/* "E 1, t 12 (am), L 1" in the order of first appearance. */
static void count_words(const struct parser *p, char *buf, size_t len)
{
	uint32_t counts[256] = { 0 }, n;
	size_t used = 0;

	for (uint32_t i = 0; i < p->n_layers; i += n)
		counts[(unsigned char)word_at(p->layers + i, p->n_layers - i,
					      &n)]++;
	buf[0] = '\0';
	for (uint32_t i = 0; i < p->n_layers && used + 2 < len; i += n) {
		unsigned char c = (unsigned char)word_at(
			p->layers + i, p->n_layers - i, &n);

		if (!counts[c])
			continue;
		used += (size_t)snprintf(buf + used, len - used, "%s%c %u",
					 used ? ", " : "", c, counts[c]);
		if (n > 1 && used + n + 4 < len) {
			buf[used++] = ' ';
			buf[used++] = '(';
			for (uint32_t k = 0; k < n; k++)
				buf[used++] = p->layers[i + k].letter;
			buf[used++] = ')';
			buf[used] = '\0';
		}
		counts[c] = 0;
	}
}

/* Refuses what stands at p->at. */
static int refuse(const struct parser *p, const char *expected)
{
	char found[16], counts[160];

	count_words(p, counts, sizeof(counts));
	if (!*p->at)
		snprintf(found, sizeof(found), "the end");
	else if (isprint((unsigned char)*p->at))
		snprintf(found, sizeof(found), "'%c'", *p->at);
	else
		snprintf(found, sizeof(found), "byte 0x%02x",
			 (unsigned char)*p->at);
	return pfw_error_set(p->err, EINVAL,
			     "pipeline.layout \"%.200s\", character %zu: found %s where "
			     "%s is expected; the model's layers, in order: %s",
			     p->text, (size_t)(p->at - p->text) + 1, found,
			     expected, counts);
}

/* Refuses a letter of which the first `fit` repeats had a layer. */
static int refuse_letter(const struct parser *p, uint32_t fit)
{
	char fits[32] = "", whole[16] = "", expected[200];
	const struct pfw_layer *l = p->layers + p->placed;

	if (fit)
		snprintf(fits, sizeof(fits), "at most %u of it, then ", fit);
	if (p->placed < p->n_layers && l->whole)
		snprintf(whole, sizeof(whole), "'%c' or ", l->whole);
	if (p->placed < p->n_layers)
		snprintf(expected, sizeof(expected),
			 "%s%s'%c' (layer %u of %u, %.80s)", fits, whole,
			 l->letter, p->placed + 1, p->n_layers, l->name);
	else
		snprintf(expected, sizeof(expected),
			 "%sthe end (all %u layers are placed)", fits,
			 p->n_layers);
	return refuse(p, expected);
}

static void skip_space(struct parser *p)
{
	while (isspace((unsigned char)*p->at))
		p->at++;
}

/* The number behind a letter, 1 where there is none. */
static int parse_repeat(struct parser *p, uint32_t *out)
{
	uint32_t n = 0;

	skip_space(p);
	*out = 1;
	if (*p->at != '*')
		return 0;
	p->at++;
	skip_space(p);
	if (*p->at < '1' || *p->at > '9')
		return refuse(p, "a number of layers, 1 or more,");
	while (isdigit((unsigned char)*p->at)) {
		if (n > p->n_layers)
			return refuse(p, "a smaller number of layers");
		n = n * 10 + (uint32_t)(*p->at++ - '0');
	}
	*out = n;
	return 0;
}

/* The layers that a letter stands for at the next one: 0, it does not. */
static uint32_t layers_of(const struct parser *p, char letter)
{
	const struct pfw_layer *l = p->layers + p->placed;

	if (p->placed == p->n_layers)
		return 0;
	return l->letter == letter ? 1 : l->whole == letter ? l->n_whole : 0;
}

/* "t*3": at a character that is neither space, '|' nor the end. */
static int parse_layers(struct parser *p)
{
	const char *start = p->at;
	uint32_t repeat, n;
	int rc;

	p->at++;
	rc = parse_repeat(p, &repeat);
	if (rc)
		return rc;
	for (uint32_t i = 0; i < repeat; i++) {
		n = layers_of(p, *start);
		if (!n) {
			p->at = start;
			return refuse_letter(p, i);
		}
		p->placed += n;
		p->stages[p->stage].n_layers += n;
	}
	return 0;
}

/* The text's stages must be as many as the pipeline's. */
static int check_stages(const struct parser *p)
{
	uint32_t n = 1;

	for (const char *c = p->text; *c; c++)
		n += *c == '|';
	if (n == p->n_stages)
		return 0;
	return pfw_error_set(p->err, EINVAL,
			     "pipeline.layout \"%.200s\" has %u stage%s, but "
			     "there are %u (pipeline.ranks times "
			     "pipeline.chunks): make them equal", p->text, n, n == 1 ? "" : "s", p->n_stages);
}

int pfw_layout_parse(const char *text, const struct pfw_layer *layers,
		     uint32_t n_layers, struct pfw_model_stage *stages,
		     uint32_t n_stages, struct pfw_error *err)
{
	struct parser p = { .text = text, .at = text, .layers = layers,
			    .n_layers = n_layers, .stages = stages,
			    .n_stages = n_stages, .err = err };
	int rc = check_stages(&p);

	if (rc)
		return rc;
	stages[0].first_layer = stages[0].n_layers = 0;
	for (;;) {
		skip_space(&p);
		if (*p.at && *p.at != '|') {
			rc = parse_layers(&p);
			if (rc)
				return rc;
			continue;
		}
		if (!stages[p.stage].n_layers)
			return refuse(&p, "a layer (a stage without layers "
				      "would only pass its input on)");
		if (!*p.at)
			break;
		p.at++;
		p.stage++;
		stages[p.stage].first_layer = p.placed;
		stages[p.stage].n_layers = 0;
	}
	return p.placed < n_layers ? refuse_letter(&p, 0) : 0;
}

/* Appends to buf as far as it goes; gives the length so far. */
static size_t append(char *buf, size_t len, size_t used, const char *text)
{
	size_t n = strlen(text);

	if (used < len) {
		size_t room = len - used - 1;

		memcpy(buf + used, text, n < room ? n : room);
		buf[used + (n < room ? n : room)] = '\0';
	}
	return used + n;
}

void pfw_model_layout_text(const struct pfw_model *model, char *buf, size_t len)
{
	size_t used = 0;

	if (len)
		buf[0] = '\0';
	for (uint32_t s = 0; s < model->n_stages; s++) {
		const struct pfw_model_stage *stage = &model->stages[s];
		const struct pfw_layer *l = model->layers + stage->first_layer;

		if (s)
			used = append(buf, len, used, " |");
		for (uint32_t i = 0, n, step; i < stage->n_layers;) {
			char letter = word_at(l + i, stage->n_layers - i, &step);
			char word[24];

			for (n = 1, i += step; i < stage->n_layers; n++) {
				if (word_at(l + i, stage->n_layers - i,
					    &step) != letter)
					break;
				i += step;
			}
			snprintf(word, sizeof(word), n > 1 ? "%s%c*%u" : "%s%c",
				 used ? " " : "", letter, n);
			used = append(buf, len, used, word);
		}
	}
}
