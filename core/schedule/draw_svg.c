/*
 * The timeline as a picture by itself, in light and in dark: a row for each rank,
 * grey where it is idle, and below them what the colours mean.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "schedule/draw.h"

#define ROW 26.0   /* pixels of a rank, with the gap below it */
#define BOX 22.0
#define LEFT 64.0  /* names of ranks */
#define TOP 58.0   /* title and axis */
#define KEY 34.0   /* what the colours mean */
#define RIGHT 16.0
#define WIDEST 20000.0
#define PAGE 900.0  /* a picture as wide is shown whole */
#define LEAST 620.0 /* title and key want so much */
#define LETTER 6.8  /* of a name in a box, about */
#define MARGIN 2.0  /* beside it */

#define SHADES 4u

/*
 * Boxes are the same in light and in dark, and so is what is written on them.
 * A class is the type and the shade: f0 is the darkest.
 */
static const char style[] =
	"<style>"
	".pfw .page{fill:#fff}.pfw text{fill:#1f2328}.pfw .soft{fill:#59636e}"
	".pfw .idle{fill:#eceff2}.pfw path{stroke:#d1d9e0}"
	".pfw g rect{stroke:#fff}.pfw g text{text-anchor:middle}\n"
	".pfw .f0{fill:#6fa8e6}.pfw .f1{fill:#94bfee}.pfw .f2{fill:#bbd7f5}"
	".pfw .f3{fill:#dceafb}.pfw .b0{fill:#6fbf73}.pfw .b1{fill:#93cf96}"
	".pfw .b2{fill:#b9e0ba}.pfw .b3{fill:#dbf0dc}\n"
	".pfw .i0{fill:#f0b54d}.pfw .i1{fill:#f5c878}.pfw .i2{fill:#f9dca7}"
	".pfw .i3{fill:#fdefd6}.pfw .w0{fill:#c27fcc}.pfw .w1{fill:#d19fd9}"
	".pfw .w2{fill:#e1c1e6}.pfw .w3{fill:#f0e0f3}\n"
	"@media(prefers-color-scheme:dark){"
	".pfw .page{fill:#0d1117}.pfw text{fill:#e6edf3}.pfw .soft{fill:#9198a1}"
	".pfw .idle{fill:#21262d}.pfw path{stroke:#3d444d}"
	".pfw g rect{stroke:#0d1117}.pfw g text{fill:#1f2328}}"
	"</style>\n";

/* The letter of a class. */
static char letter_of(uint32_t type)
{
	static const char letters[] = {
		[PFW_FORWARD] = 'f',
		[PFW_BACKWARD] = 'b',
		[PFW_BACKWARD_INPUT] = 'i',
		[PFW_BACKWARD_WEIGHT] = 'w',
	};

	return letters[type];
}

/* Shades as far apart as there are chunks; beyond four they begin again. */
static uint32_t shade_of(const struct pfw_simulation *sim, uint32_t chunk)
{
	return sim->chunks < SHADES ? chunk * SHADES / sim->chunks :
				      chunk % SHADES;
}

/* XML's own characters in a name of the outside. */
static void print_escaped(const char *text, FILE *to)
{
	for (; *text; text++) {
		if (*text == '&')
			fputs("&amp;", to);
		else if (*text == '<')
			fputs("&lt;", to);
		else if (*text == '"')
			fputs("&quot;", to);
		else if ((unsigned char)*text >= ' ')
			fputc(*text, to);
	}
}

/* "2F7"; without the stage where that is the rank. */
static void name_action(const struct pfw_simulation *sim, uint32_t type,
			uint32_t stage, uint32_t microbatch, char text[64])
{
	if (sim->chunks > 1)
		pfw_action_text(type, stage, microbatch, text, 64);
	else
		snprintf(text, 64, "%s%u", pfw_action_name(type), microbatch);
}

static double digits(uint32_t n)
{
	char text[16];

	return snprintf(text, sizeof(text), "%u", n);
}

/* Pixels of a ns, so that the shortest action can bear its name, or where that
 * is more than a page its micro-batch. */
static double scale(const struct pfw_simulation *sim)
{
	int64_t shortest = sim->step_time;
	double pixels, number = digits(sim->microbatches - 1);
	double whole = LETTER * (number + 1) + 3 * MARGIN;

	for (uint32_t i = 0; i < sim->n_actions; i++) {
		int64_t t = sim->actions[i].end - sim->actions[i].start;

		if (t && t < shortest)
			shortest = t;
	}
	if (!shortest)
		return 0;
	if (sim->chunks > 1)
		whole += LETTER * digits(sim->stages - 1);
	pixels = whole / (double)shortest;
	if (pixels * (double)sim->step_time > PAGE)
		pixels = (LETTER * number + 3 * MARGIN) / (double)shortest;
	if (pixels * (double)sim->step_time > WIDEST)
		pixels = WIDEST / (double)sim->step_time;
	return pixels;
}

static void print_head(const struct pfw_simulation *sim,
		       const struct pfw_picture *how, double width, FILE *to)
{
	double height = TOP + ROW * sim->ranks + KEY;

	fprintf(to, "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"pfw\" "
		"width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" "
		"font-family=\"sans-serif\" font-size=\"11\" role=\"img\" "
		"aria-label=\"", width, height, width, height);
	print_escaped(how->title, to);
	fprintf(to, "\">\n%s<rect class=\"page\" width=\"100%%\" "
		"height=\"100%%\"/>\n<text x=\"8\" y=\"20\" font-size=\"14\">"
		"<tspan font-weight=\"bold\">", style);
	print_escaped(how->title, to);
	fprintf(to, "</tspan>\302\240 p=%u v=%u m=%u, step %.5g %s, bubble "
		"%.1f %%</text>\n", sim->ranks, sim->chunks, sim->microbatches,
		(double)sim->step_time / how->unit, how->unit_name,
		100 * pfw_simulation_bubble(sim));
}

/* The time of the step, grey until something is drawn on it. */
static void print_tracks(const struct pfw_simulation *sim, double pixels,
			 FILE *to)
{
	for (uint32_t r = 0; r < sim->ranks; r++)
		fprintf(to, "<text x=\"8\" y=\"%.0f\">rank %u</text>"
			"<rect class=\"idle\" x=\"%.0f\" y=\"%.0f\" "
			"width=\"%.2f\" height=\"%.0f\"/>\n", TOP + ROW * r + 15,
			r, LEFT, TOP + ROW * r, (double)sim->step_time * pixels,
			BOX);
}

static void print_axis(const struct pfw_simulation *sim,
		       const struct pfw_picture *how, double pixels, FILE *to)
{
	static const double steps[] = { 1, 2, 5 };
	double step = 0, ten = 1e-6, bottom = TOP + ROW * sim->ranks - 4;

	for (unsigned i = 0; step * how->unit * pixels < 48; i++) {
		step = steps[i % 3] * ten;
		ten *= i % 3 == 2 ? 10 : 1;
	}
	fprintf(to, "<text class=\"soft\" x=\"8\" y=\"%.0f\">", TOP - 8);
	print_escaped(how->unit_name, to);
	fputs("</text>\n", to);
	for (double t = 0; t * how->unit <= (double)sim->step_time; t += step) {
		double x = LEFT + t * how->unit * pixels;

		fprintf(to, "<path d=\"M%.1f %.0fV%.0f\"/><text class=\"soft\" "
			"x=\"%.1f\" y=\"%.0f\" text-anchor=\"middle\">%g</text>\n",
			x, TOP - 4, bottom, x, TOP - 8, t);
	}
}

static int fits(const char *text, double width)
{
	return LETTER * (double)strlen(text) + MARGIN <= width;
}

/* What most boxes and this one have room for: names, micro-batches, nothing. */
static void print_name(const struct pfw_simulation *sim,
		       const struct pfw_sim_action *a, double x, double width,
		       double mean, FILE *to)
{
	char text[64];

	name_action(sim, a->type, a->stage, a->microbatch, text);
	if (!fits(text, width < mean ? width : mean))
		snprintf(text, sizeof(text), "%u", a->microbatch);
	if (fits(text, width))
		fprintf(to, "<text x=\"%.2f\" y=\"15\">%s</text>", x + width / 2,
			text);
}

static void print_action(const struct pfw_simulation *sim,
			 const struct pfw_picture *how,
			 const struct pfw_sim_action *a, double pixels, FILE *to)
{
	double x = LEFT + (double)a->start * pixels;
	double width = (double)(a->end - a->start) * pixels;
	double mean = (double)sim->busy * pixels / sim->n_actions;
	char text[64];

	pfw_action_text(a->type, a->stage, a->microbatch, text, sizeof(text));
	fprintf(to, "<rect class=\"%c%u\" x=\"%.2f\" width=\"%.2f\" "
		"height=\"%.0f\"><title>%s: %.6g to %.6g</title></rect>",
		letter_of(a->type), shade_of(sim, sim->chunk_of[a->stage]), x,
		width, BOX, text, (double)a->start / how->unit,
		(double)a->end / how->unit);
	print_name(sim, a, x, width, mean, to);
	fputc('\n', to);
}

static void print_rank(const struct pfw_simulation *sim,
		       const struct pfw_picture *how, uint32_t r, double pixels,
		       FILE *to)
{
	const struct pfw_sim_rank *rank = &sim->rank[r];

	fprintf(to, "<g transform=\"translate(0 %.0f)\">\n", TOP + ROW * r);
	for (uint32_t i = 0; i < rank->n; i++)
		print_action(sim, how, &sim->actions[rank->first + i], pixels,
			     to);
	fputs("</g>\n", to);
}

/* A sample and a word; where the next one goes. */
static double print_sample(const char *class, const char *word, double x,
			   double y, FILE *to)
{
	fprintf(to, "<rect class=\"%s\" x=\"%.0f\" y=\"%.0f\" width=\"12\" "
		"height=\"12\"/><text x=\"%.0f\" y=\"%.0f\">%s</text>\n", class,
		x, y, x + 17, y + 10, word);
	return x + 17 + LETTER * (double)strlen(word) + 12;
}

static void print_key(const struct pfw_simulation *sim, FILE *to)
{
	static const char *const words[] = {
		[PFW_FORWARD] = "forward",
		[PFW_BACKWARD] = "backward",
		[PFW_BACKWARD_INPUT] = "input gradient",
		[PFW_BACKWARD_WEIGHT] = "weight gradient",
	};
	double x = LEFT, y = TOP + ROW * sim->ranks + 8;
	int there[sizeof(words) / sizeof(words[0])] = { 0 };

	for (uint32_t i = 0; i < sim->n_actions; i++)
		there[sim->actions[i].type] = 1;
	for (uint32_t t = 0; t < sizeof(words) / sizeof(words[0]); t++) {
		char class[] = { letter_of(t), '0', 0 };

		if (there[t])
			x = print_sample(class, words[t], x, y, to);
	}
	x = print_sample("idle", "idle", x, y, to);
	if (sim->chunks > 1)
		fprintf(to, "<text class=\"soft\" x=\"%.0f\" y=\"%.0f\">later "
			"chunks lighter</text>\n", x, y + 10);
}

int pfw_draw_svg(const struct pfw_simulation *sim,
		 const struct pfw_picture *how, FILE *to, struct pfw_error *err)
{
	double pixels = how->pixels > 0 ? how->pixels / how->unit : scale(sim);
	double width = LEFT + (double)sim->step_time * pixels + RIGHT;

	print_head(sim, how, width > LEAST ? width : LEAST, to);
	print_tracks(sim, pixels, to);
	if (pixels > 0)
		print_axis(sim, how, pixels, to);
	for (uint32_t r = 0; r < sim->ranks; r++)
		print_rank(sim, how, r, pixels, to);
	print_key(sim, to);
	fputs("</svg>\n", to);
	return ferror(to) ? pfw_error_set(err, EIO, "the picture could not be "
					  "written") : 0;
}
