#include <errno.h>
#include <stdio.h>

#include "schedule/draw.h"

#define ROW 26.0  /* pixels of a rank, with the gap below it */
#define BOX 22.0
#define LEFT 64.0 /* names of ranks */
#define TOP 52.0  /* title and axis */
#define WIDEST 20000.0

/* Chunks of a type from light to dark and back. */
static const char *colour(const struct pfw_simulation *sim,
			  const struct pfw_sim_action *a)
{
	static const char *const palette[][4] = {
		[PFW_FORWARD] = { "#9cc3f0", "#c5ddf8", "#6fa8e6", "#b1d0f4" },
		[PFW_BACKWARD] = { "#9ad69a", "#c7e9c4", "#6fbf73", "#b1e0af" },
		[PFW_BACKWARD_INPUT] = { "#f7cf87", "#fbe5bd", "#f0b54d",
					 "#f9daa2" },
		[PFW_BACKWARD_WEIGHT] = { "#d5a8dc", "#ead2ee", "#c27fcc",
					  "#dfbde5" },
	};

	return palette[a->type][sim->chunk_of[a->stage] % 4];
}

/* XML's own characters in a name of the outside. */
static void print_escaped(const char *text, FILE *to)
{
	for (; *text; text++) {
		if (*text == '&')
			fputs("&amp;", to);
		else if (*text == '<')
			fputs("&lt;", to);
		else if ((unsigned char)*text >= ' ')
			fputc(*text, to);
	}
}

/* Pixels of a ns, so that the shortest action can bear its name. */
static double scale(const struct pfw_simulation *sim)
{
	int64_t shortest = sim->step_time;
	double pixels;

	for (uint32_t i = 0; i < sim->n_actions; i++) {
		int64_t t = sim->actions[i].end - sim->actions[i].start;

		if (t && t < shortest)
			shortest = t;
	}
	if (!shortest)
		return 0;
	pixels = (sim->chunks > 1 ? 40.0 : 28.0) / (double)shortest;
	if (pixels * (double)sim->step_time > WIDEST)
		pixels = WIDEST / (double)sim->step_time;
	return pixels;
}

static void print_axis(const struct pfw_simulation *sim, double pixels,
		       double unit, FILE *to)
{
	double step = 1, bottom = TOP + ROW * sim->ranks;

	while (step * unit * pixels < 60)
		step *= 2;
	for (double t = 0; t * unit <= (double)sim->step_time; t += step) {
		double x = LEFT + t * unit * pixels;

		fprintf(to, "<path d=\"M%.1f %.1fV%.1f\" stroke=\"#ddd\"/>"
			"<text x=\"%.1f\" y=\"%.1f\" fill=\"#666\">%g</text>\n",
			x, TOP - 4, bottom, x, TOP - 8, t);
	}
}

static void print_action(const struct pfw_simulation *sim,
			 const struct pfw_sim_action *a, double y,
			 double pixels, FILE *to)
{
	double x = LEFT + (double)a->start * pixels;
	double width = (double)(a->end - a->start) * pixels;
	char text[64];

	pfw_action_text(a->type, a->stage, a->microbatch, text, sizeof(text));
	fprintf(to, "<rect x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\" "
		"fill=\"%s\" stroke=\"#fff\"><title>%s</title></rect>", x, y,
		width, BOX, colour(sim, a), text);
	if (width >= 14)
		fprintf(to, "<text x=\"%.2f\" y=\"%.1f\" "
			"text-anchor=\"middle\">%s</text>", x + width / 2,
			y + 15, width >= 24 ? text : pfw_action_name(a->type));
	fputc('\n', to);
}

int pfw_draw_svg(const struct pfw_simulation *sim, const char *title,
		 double unit, double pixels_of_unit, FILE *to,
		 struct pfw_error *err)
{
	double pixels = pixels_of_unit > 0 ? pixels_of_unit / unit : scale(sim);
	double width = LEFT + (double)sim->step_time * pixels + 16;
	double height = TOP + ROW * sim->ranks + 8;

	fprintf(to, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" "
		"height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" "
		"font-family=\"sans-serif\" font-size=\"11\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n"
		"<text x=\"8\" y=\"18\" font-size=\"14\">", width, height, width,
		height);
	print_escaped(title, to);
	fprintf(to, ": p=%u v=%u m=%u, step %.6g, bubble %.1f %%</text>\n",
		sim->ranks, sim->chunks, sim->microbatches,
		(double)sim->step_time / unit, 100 * pfw_simulation_bubble(sim));
	if (pixels > 0)
		print_axis(sim, pixels, unit, to);
	for (uint32_t r = 0; r < sim->ranks; r++) {
		const struct pfw_sim_rank *rank = &sim->rank[r];
		double y = TOP + ROW * r;

		fprintf(to, "<text x=\"8\" y=\"%.1f\">rank %u</text>\n", y + 15,
			r);
		for (uint32_t i = 0; i < rank->n; i++)
			print_action(sim, &sim->actions[rank->first + i], y,
				     pixels, to);
	}
	fputs("</svg>\n", to);
	return ferror(to) ? pfw_error_set(err, EIO, "the picture could not be "
					  "written") : 0;
}
