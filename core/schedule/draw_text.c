/*
 * The timeline for a terminal.  Each rank is painted into a row of columns at a
 * scale; rows are then printed a block at a time.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schedule/draw.h"

/* More blocks than this below each other are no picture. */
#define MAX_BLOCKS 8u
/* What stands for the line between two actions until it is printed. */
#define SEPARATOR '\1'
#define IDLE 0

struct canvas {
	const struct pfw_simulation *sim;
	const struct pfw_draw_style *style;
	FILE *to;
	double scale;     /* columns per ns */
	uint32_t columns; /* of a whole row */
	uint32_t block;   /* columns printed below each other */
	uint32_t label;   /* columns of "rank 12 |" */
	int stages;       /* actions carry their stage: there are chunks */
	int scaled;       /* too long for names: letters, odd chunks in small */
	char *glyph;      /* [columns] of the row being painted */
	unsigned char *shade; /* [columns]: IDLE, or 1 + 4 * type + chunk */
};

static uint32_t digits(uint32_t n)
{
	uint32_t d = 1;

	while (n /= 10)
		d++;
	return d;
}

/* Backgrounds of the 256-colour palette, four chunks of each type. */
static unsigned background(unsigned char shade)
{
	static const unsigned char palette[][4] = {
		[PFW_FORWARD] = { 117, 153, 75, 111 },
		[PFW_BACKWARD] = { 114, 157, 71, 150 },
		[PFW_BACKWARD_INPUT] = { 222, 229, 215, 223 },
		[PFW_BACKWARD_WEIGHT] = { 182, 225, 176, 219 },
	};

	return palette[(shade - 1) / 4][(shade - 1) % 4];
}

static uint32_t column(const struct canvas *c, int64_t when)
{
	double x = (double)when * c->scale + 0.5;

	return x < c->columns ? (uint32_t)x : c->columns;
}

/* The longest name that leaves a column for the line, or just a letter. */
static void name_action(const struct canvas *c, const struct pfw_sim_action *a,
			uint32_t room, char text[64])
{
	const char *word = pfw_action_name(a->type);

	pfw_action_text(a->type, a->stage, a->microbatch, text, 64);
	if (!c->stages || strlen(text) >= room)
		snprintf(text, 64, "%s%u", word, a->microbatch);
	if (strlen(text) >= room)
		snprintf(text, 64, "%s", word);
}

static void paint_action(struct canvas *c, const struct pfw_sim_action *a)
{
	uint32_t from = column(c, a->start), to = column(c, a->end);
	uint32_t room = to - from, chunk = c->sim->chunk_of[a->stage];
	uint32_t next, at; /* block; where the name goes, to be in one */
	char text[64];
	size_t len;

	if (!room)
		return;
	memset(c->shade + from, (int)(1 + 4 * a->type + chunk % 4), room);
	if (c->scaled) {
		char letter = pfw_action_name(a->type)[0];

		memset(c->glyph + from, chunk % 2 ? tolower(letter) : letter, room);
		return;
	}
	name_action(c, a, room, text);
	len = strlen(text);
	memset(c->glyph + from, ' ', room);
	if (room > 1)
		c->glyph[to - 1] = SEPARATOR;
	next = (from / c->block + 1) * c->block;
	at = from + len > next && next + len < to ? next : from;
	memcpy(c->glyph + at, text, len < room ? len : room);
	/* A line at the left, too, where nothing else draws it. */
	if (room > 1 && from && c->shade[from - 1] == IDLE)
		c->glyph[from - 1] = SEPARATOR;
}

static void put_glyph(const struct canvas *c, char glyph)
{
	if (glyph != SEPARATOR)
		fputc(glyph, c->to);
	else
		fputs(c->style->utf8 ? "\xe2\x94\x82" : "|", c->to);
}

static void print_part(const struct canvas *c, uint32_t from, uint32_t to)
{
	unsigned char now = IDLE;

	/* Nothing after the last action of the part. */
	while (to > from && c->shade[to - 1] == IDLE && c->glyph[to - 1] == ' ')
		to--;
	for (uint32_t i = from; i < to; i++) {
		if (c->style->colour && c->shade[i] != now) {
			now = c->shade[i];
			if (now == IDLE)
				fputs("\033[0m", c->to);
			else
				fprintf(c->to, "\033[38;5;16;48;5;%um",
					background(now));
		}
		put_glyph(c, c->glyph[i]);
	}
	if (now != IDLE)
		fputs("\033[0m", c->to);
	fputc('\n', c->to);
}

/* Every so many units a number, far enough apart to be read. */
static void print_axis(const struct canvas *c, uint32_t from, uint32_t to)
{
	static const unsigned steps[] = { 1, 2, 5 };
	double per_unit = c->style->unit * c->scale, step = 1;
	uint32_t at = from;

	for (unsigned i = 0; per_unit * step < 10; i++) {
		step = steps[i % 3];
		for (unsigned k = 0; k < i / 3; k++)
			step *= 10;
	}
	fprintf(c->to, "%-*s", (int)c->label, "time");
	for (double t = 0; t * per_unit < c->columns; t += step) {
		uint32_t x = (uint32_t)(t * per_unit + 0.5);
		char text[32];

		snprintf(text, sizeof(text), "%.15g", t);
		if (x < at || x + strlen(text) > to)
			continue;
		fprintf(c->to, "%*s%s", (int)(x - at), "", text);
		at = x + (uint32_t)strlen(text);
	}
	fputc('\n', c->to);
}

static void paint_rank(struct canvas *c, uint32_t r)
{
	const struct pfw_sim_rank *rank = &c->sim->rank[r];

	memset(c->glyph, ' ', c->columns);
	memset(c->shade, IDLE, c->columns);
	for (uint32_t i = 0; i < rank->n; i++) {
		const struct pfw_sim_action *a =
			&c->sim->actions[rank->first + i];

		paint_action(c, a);
	}
}

static void print_block(struct canvas *c, uint32_t from)
{
	uint32_t to = from + c->block < c->columns ? from + c->block : c->columns;

	print_axis(c, from, to);
	for (uint32_t r = 0; r < c->sim->ranks; r++) {
		paint_rank(c, r);
		fprintf(c->to, "rank %-*u", (int)(c->label - 6), r);
		put_glyph(c, SEPARATOR);
		print_part(c, from, to);
	}
}

/* Columns so that the shortest action shows its name; 0: it takes no time. */
static uint32_t set_scale(struct canvas *c)
{
	const struct pfw_simulation *sim = c->sim;
	uint32_t name = 2 + digits(sim->microbatches - 1) +
			(c->stages ? digits(sim->stages - 1) : 0);
	uint32_t room = c->style->width > c->label + 2 * name ?
		c->style->width - c->label : 2 * name;
	int64_t shortest = 0;
	double columns;

	for (uint32_t i = 0; i < sim->n_actions; i++) {
		int64_t t = sim->actions[i].end - sim->actions[i].start;

		if (t && (!shortest || t < shortest))
			shortest = t;
	}
	if (!shortest)
		return 0;
	c->scale = (double)name / (double)shortest;
	columns = (double)sim->step_time * c->scale;
	c->block = room / name * name;
	if (columns > (double)c->block * MAX_BLOCKS) {
		c->scaled = 1;
		c->block = room;
		columns = room;
		c->scale = columns / (double)sim->step_time;
	}
	c->columns = (uint32_t)(columns + 0.5);
	return c->columns;
}

int pfw_draw_text(const struct pfw_simulation *sim,
		  const struct pfw_draw_style *style, FILE *to,
		  struct pfw_error *err)
{
	struct canvas c = {
		.sim = sim,
		.style = style,
		.to = to,
		.label = 7 + digits(sim->ranks - 1),
		.stages = sim->chunks > 1,
	};
	int ok;

	if (!set_scale(&c))
		return 0;
	c.glyph = malloc(c.columns);
	c.shade = malloc(c.columns);
	ok = c.glyph && c.shade;
	for (uint32_t x = 0; ok && x < c.columns; x += c.block) {
		if (x)
			fputc('\n', to);
		print_block(&c, x);
	}
	if (ok && c.scaled)
		fprintf(to, "\nA column is %.3g units of time%s.\n",
			1 / c.scale / style->unit, c.stages ?
			"; letters are small for every other chunk" : "");
	free(c.shade);
	free(c.glyph);
	if (!ok)
		return pfw_error_set(err, ENOMEM, "no memory for a picture of "
				     "%u columns", c.columns);
	if (ferror(to))
		return pfw_error_set(err, EIO, "the picture could not be written");
	return 0;
}
