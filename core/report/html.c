/* The report as one page that needs nothing but itself. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "report/report.h"
#include "runtime/job.h"
#include "schedule/draw.h"

#define WIDTH 900.0
#define HEIGHT 220.0
#define STEP_WIDTH 980.0 /* of a step that fits on the page */
#define WIDEST 6000.0     /* and no wider than this */
#define MEAN_BOX 22.0     /* where it does not: of an action */

static const char style[] =
	"<style>\n"
	":root{color-scheme:light dark;--ink:#1f2328;--page:#fff;--line:#d1d9e0;"
	"--idle:#dde1e6;--note:#eef5ff}\n"
	"@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--page:#0d1117;"
	"--line:#3d444d;--idle:#3d444d;--note:#15233b}}\n"
	"body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2rem auto;"
	"padding:0 1rem;color:var(--ink);background:var(--page)}\n"
	"h1{overflow-wrap:anywhere}.wide{overflow-x:auto}\n"
	"h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}\n"
	"table{border-collapse:collapse}\n"
	"th,td{white-space:nowrap;padding:.25rem .8rem;text-align:right;border-bottom:1px solid var(--line)}\n"
	"th:first-child,td:first-child{text-align:left}\n"
	".advice{padding:.8rem 1rem;background:var(--note);border-left:4px solid #4a86d8}\n"
	".advice code{display:block;white-space:nowrap;overflow-x:auto}\n"
	".timeline{overflow-x:auto;border:1px solid var(--line);margin:.3rem 0 1rem}\n"
	".timeline svg{display:block}\n"
	".bar{display:flex;height:22px;width:100%;min-width:120px;border-radius:3px;"
	"overflow:hidden;margin:2px 0}\n"
	".bar span{display:block;height:100%}\n"
	".c{background:#6fa8e6}.w{background:#f0b54d}.t{background:#c27fcc}"
	".i{background:var(--idle)}\n"
	".curve{max-width:100%;height:auto;fill:var(--ink)}"
	".curve path{stroke:var(--line)}\n"
	".key span{display:inline-block;width:12px;height:12px;margin:0 .3rem 0 1rem}\n"
	"</style>\n";

static void escaped(const char *text, FILE *to)
{
	for (; *text; text++) {
		if (*text == '&')
			fputs("&amp;", to);
		else if (*text == '<')
			fputs("&lt;", to);
		else if (*text == '>')
			fputs("&gt;", to);
		else
			fputc(*text, to);
	}
}

/* The sentence, and below it what would be typed. */
static void print_advice(const struct pfw_advice *advice, FILE *to)
{
	fputs("<p class=\"advice\">", to);
	escaped(advice->text, to);
	if (advice->found) {
		fputs(": <code>", to);
		escaped(advice->set, to);
		fputs("</code>", to);
	}
	fputs("</p>\n", to);
}

static double waits_of(const struct pfw_report *r, uint32_t k)
{
	double sum = 0;

	for (uint32_t q = 0; q < r->program->ranks; q++)
		sum += r->rank[k].waits[q];
	return sum;
}

static void print_head(const struct pfw_report *r, FILE *to)
{
	fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
	      "<meta name=\"viewport\" content=\"width=device-width\">"
	      "<title>pipefw: ", to);
	escaped(r->dir, to);
	fprintf(to, "</title>\n%s</head><body>\n<h1>", style);
	escaped(r->dir, to);
	fputs("</h1>\n<p>", to);
	escaped(pfw_config_schedule(r->cfg), to);
	fprintf(to, ", %u ranks, %u chunk%s a rank, %u micro-batches; steps %"
		PRIu64 " to %" PRIu64 ".</p>\n",
		r->program->ranks, r->program->chunks,
		r->program->chunks == 1 ? "" : "s", r->program->microbatches,
		r->first_step, r->last_step);
	print_advice(&r->advice, to);
}

static void print_figures(const struct pfw_report *r, FILE *to)
{
	fprintf(to,
		"<h2>Predicted and measured</h2>\n<div class=\"wide\"><table>\n"
		"<tr><th></th><th>predicted</th><th>measured</th>"
		"<th>off by</th></tr>\n"
		"<tr><td>step, first action to NORM</td><td>%.3f ms</td>"
		"<td>%.3f ms</td><td>%+.1f %%</td></tr>\n",
		(double)r->predicted->step_time / 1e6, r->window / 1e6,
		pfw_report_off(r, r->predicted->step_time));
	if (r->set_step)
		fprintf(to, "<tr><td>by the times that were set</td>"
			"<td>%.3f ms</td><td></td><td>%+.1f %%</td></tr>\n",
			(double)r->set_step / 1e6,
			pfw_report_off(r, r->set_step));
	fprintf(to,
		"<tr><td>bubble</td><td>%.1f %%</td><td>%.1f %%</td><td></td>"
		"</tr>\n</table></div>\n",
		100 * pfw_simulation_bubble(r->predicted), 100 * r->bubble);
}

/* Both on one scale, pixels of a millisecond: as wide as the page, or so wide
 * that most actions can be told apart. */
static double timeline_scale(const struct pfw_report *r)
{
	int64_t longest = r->measured->step_time > r->predicted->step_time ?
				  r->measured->step_time :
				  r->predicted->step_time;
	double mean = (double)r->predicted->busy / r->predicted->n_actions;

	if (longest <= 0 || mean <= 0)
		return 0;
	return 1e6 * fmax(STEP_WIDTH / (double)longest,
			  fmin(MEAN_BOX / mean, WIDEST / (double)longest));
}

static int print_timelines(const struct pfw_report *r, FILE *to,
			   struct pfw_error *err)
{
	struct pfw_picture how = {
		.title = "predicted",
		.unit_name = "ms",
		.unit = 1e6,
		.pixels = timeline_scale(r),
	};
	char title[96];
	int rc;

	fputs("<h2>The step</h2>\n<div class=\"timeline\">", to);
	rc = pfw_draw_svg(r->predicted, &how, to, err);
	snprintf(title, sizeof(title), "measured (step %" PRIu64 ")",
		 r->typical);
	how.title = title;
	if (!rc)
		rc = pfw_draw_svg(r->measured, &how, to, err);
	fputs("</div>\n", to);
	return rc;
}

static void bar_part(const struct pfw_report *r, const char *class, double ns,
		     FILE *to)
{
	fprintf(to, "<span class=\"%s\" style=\"width:%.2f%%\"></span>", class,
		100 * ns / r->window);
}

static void print_rank(const struct pfw_report *r, uint32_t k, FILE *to)
{
	const struct pfw_report_rank *rank = &r->rank[k];
	int some = 0;

	fprintf(to, "<tr><td>rank %u</td><td style=\"width:45%%\">"
		"<div class=\"bar\">", k);
	bar_part(r, "c", rank->compute, to);
	bar_part(r, "t", rank->transfer, to);
	bar_part(r, "w", waits_of(r, k), to);
	bar_part(r, "i", rank->idle, to);
	fprintf(to, "</div></td><td>%.1f %%</td><td>%.2f %%</td><td>%.1f %%</td>"
		"<td>", 100 * rank->compute / r->window,
		100 * rank->transfer / r->window, 100 * rank->idle / r->window);
	for (uint32_t q = 0; q < r->program->ranks; q++)
		if (rank->waits[q] >= 0.0005 * r->window)
			fprintf(to, "%s%.1f %% for rank %u", some++ ? ", " : "",
				100 * rank->waits[q] / r->window, q);
	fputs("</td></tr>\n", to);
}

static void print_ranks(const struct pfw_report *r, FILE *to)
{
	fputs("<h2>Where the time of each rank went</h2>\n<p class=\"key\">"
	      "<span class=\"c\"></span>compute<span class=\"t\"></span>transfer"
	      "<span class=\"w\"></span>waiting<span class=\"i\"></span>idle</p>\n"
	      "<div class=\"wide\"><table>\n<tr><th></th><th></th><th>compute</th><th>transfer</th>"
	      "<th>idle</th><th>waits</th></tr>\n", to);
	for (uint32_t k = 0; k < r->program->ranks; k++)
		print_rank(r, k, to);
	fputs("</table></div>\n", to);
}

struct scale {
	double low, high;
	uint64_t first, last;
};

static void widen(struct scale *s, const struct pfw_report_point *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		s->low = fmin(s->low, p[i].value);
		s->high = fmax(s->high, p[i].value);
		s->first = p[i].step < s->first ? p[i].step : s->first;
		s->last = p[i].step > s->last ? p[i].step : s->last;
	}
}

static void print_curve(const struct scale *s, const struct pfw_report_point *p,
			size_t n, const char *colour, FILE *to)
{
	double wide = s->last > s->first ? (double)(s->last - s->first) : 1;
	double tall = s->high > s->low ? s->high - s->low : 1;
	size_t every = n / 2000 + 1;

	fprintf(to, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" "
		"points=\"", colour);
	for (size_t i = 0; i < n; i += every)
		fprintf(to, "%.1f,%.1f ",
			50 + (WIDTH - 60) * (double)(p[i].step - s->first) / wide,
			10 + (HEIGHT - 40) * (s->high - p[i].value) / tall);
	fputs("\"/>\n", to);
}

static void print_loss(const struct pfw_report *r, FILE *to)
{
	struct scale s = { INFINITY, -INFINITY, UINT64_MAX, 0 };

	widen(&s, r->losses, r->n_losses);
	widen(&s, r->valid, r->n_valid);
	if (s.last < s.first || !(s.high > s.low))
		return;
	fprintf(to, "<h2>Loss</h2>\n<p class=\"key\"><span class=\"c\"></span>"
		"training%s</p>\n"
		"<svg class=\"curve\" width=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" "
		"font-family=\"sans-serif\" font-size=\"11\">\n",
		r->n_valid ? "<span class=\"w\"></span>validation" : "", WIDTH,
		WIDTH, HEIGHT);
	for (int i = 0; i <= 4; i++) {
		double y = 10 + (HEIGHT - 40) * i / 4;

		fprintf(to, "<path d=\"M50 %.1fH%.0f\"/>"
			"<text x=\"44\" y=\"%.1f\" text-anchor=\"end\">%.2f"
			"</text>\n", y, WIDTH - 10, y + 4,
			s.high - (s.high - s.low) * i / 4);
	}
	fprintf(to, "<text x=\"50\" y=\"%.0f\">step %" PRIu64 "</text>"
		"<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"end\">step %" PRIu64
		"</text>\n", HEIGHT - 8, s.first, WIDTH - 10, HEIGHT - 8, s.last);
	print_curve(&s, r->losses, r->n_losses, "#6fa8e6", to);
	print_curve(&s, r->valid, r->n_valid, "#f0b54d", to);
	fputs("</svg>\n", to);
}

static void mebibytes(uint64_t bytes, FILE *to)
{
	fprintf(to, "<td>%.*f</td>", bytes < 10 * 1048576 ? 2 : 1,
		(double)bytes / 1048576);
}

/* As the plan counts it. */
static int print_memory(const struct pfw_report *r, FILE *to,
			struct pfw_error *err)
{
	const struct pfw_job_options how = { .cfg = r->cfg };
	struct pfw_job *job;
	int rc = pfw_job_open(&how, &job, err);

	if (rc)
		return rc;
	fputs("<h2>Memory, MiB</h2>\n<div class=\"wide\"><table>\n<tr><th></th><th>weights</th>"
	      "<th>gradients</th><th>optimizer</th><th>activations</th>"
	      "<th>scratch</th><th>slots</th></tr>\n", to);
	for (uint32_t k = 0; k < r->program->ranks; k++) {
		struct pfw_rank_memory m;

		pfw_job_memory(job, k, &m);
		fprintf(to, "<tr><td>rank %u</td>", k);
		mebibytes(m.weights, to);
		mebibytes(m.gradients, to);
		mebibytes(m.optimizer, to);
		mebibytes(m.saved, to);
		mebibytes(m.work, to);
		mebibytes(m.slots, to);
		fputs("</tr>\n", to);
	}
	fputs("</table></div>\n", to);
	pfw_job_close(job);
	return 0;
}

int pfw_report_html(const struct pfw_report *r, FILE *to, struct pfw_error *err)
{
	int rc;

	print_head(r, to);
	print_figures(r, to);
	rc = print_timelines(r, to, err);
	print_ranks(r, to);
	print_loss(r, to);
	if (!rc)
		rc = print_memory(r, to, err);
	fputs("</body></html>\n", to);
	if (!rc && ferror(to))
		rc = pfw_error_set(err, EIO, "the page could not be written");
	return rc;
}
