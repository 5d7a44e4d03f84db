/* Rows: a line of the table, or a JSON object. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <pipefw/json.h>

#include "bench/bench.h"

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double pfw_bench_median(const double *v, uint32_t n)
{
	double sorted[PFW_BENCH_MAX_ROUNDS];

	memcpy(sorted, v, n * sizeof(*v));
	qsort(sorted, n, sizeof(*sorted), by_value);
	return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

/* Of each round; above 1: ours is the better. */
static double ratio(const struct pfw_bench_row *row, uint32_t rounds)
{
	double each[PFW_BENCH_MAX_ROUNDS];

	for (uint32_t i = 0; i < rounds; i++)
		each[i] = row->less_is_better ? row->theirs[i] / row->ours[i] :
						row->ours[i] / row->theirs[i];
	return pfw_bench_median(each, rounds);
}

static void print_json(const struct pfw_bench *bench,
		       const struct pfw_bench_row *row)
{
	printf("{\"event\":\"bench\",\"part\":\"%s\",\"work\":", bench->part);
	pfw_json_print(stdout, row->work);
	printf(",\"unit\":\"%s\",\"rounds\":%u,\"ours\":%.6g", row->unit,
	       bench->rounds, pfw_bench_median(row->ours, bench->rounds));
	if (row->peer) {
		printf(",\"peer\":");
		pfw_json_print(stdout, row->peer);
		printf(",\"theirs\":%.6g,\"ratio\":%.4g",
		       pfw_bench_median(row->theirs, bench->rounds),
		       ratio(row, bench->rounds));
	}
	if (row->aim > 0)
		printf(",\"aim\":%g", row->aim);
	if (row->limit > 0)
		printf(",\"limit\":%g", row->limit);
	if (row->within > 0)
		printf(",\"within\":%g", row->within);
	puts("}");
}

void pfw_bench_print(const struct pfw_bench *bench,
		     const struct pfw_bench_row *row)
{
	double times;

	if (bench->json) {
		print_json(bench, row);
	} else {
		printf("%-34s %8.4g %-8s", row->work,
		       pfw_bench_median(row->ours, bench->rounds), row->unit);
		if (row->peer) {
			times = ratio(row, bench->rounds);
			printf(" %-16s %8.4g %6.2fx", row->peer,
			       pfw_bench_median(row->theirs, bench->rounds),
			       times);
		}
		if (row->aim > 0)
			printf("  (aim %gx)", row->aim);
		if (row->limit > 0)
			printf("  (at most %g %s)", row->limit, row->unit);
		if (row->within > 0)
			printf("  (within %g %%)", 100 * row->within);
		putchar('\n');
	}
	fflush(stdout);
}

void pfw_bench_heading(const struct pfw_bench *bench, const char *text)
{
	if (bench->json)
		return;
	printf("\n%s; medians of %u round%s\n%-34s %8s %-8s %-16s %8s %7s\n",
	       text, bench->rounds, bench->rounds == 1 ? "" : "s", "work",
	       "ours", "", "peer", "theirs", "ratio");
	fflush(stdout);
}

void pfw_bench_skip(const struct pfw_bench *bench, const char *work,
		    const char *peer, const char *why)
{
	if (!bench->json) {
		printf("%-34s skipped%s%s: %s\n", work, peer ? " beside " : "",
		       peer ? peer : "", why);
		return;
	}
	printf("{\"event\":\"skip\",\"part\":\"%s\",\"work\":", bench->part);
	pfw_json_print(stdout, work);
	if (peer) {
		printf(",\"peer\":");
		pfw_json_print(stdout, peer);
	}
	printf(",\"why\":");
	pfw_json_print(stdout, why);
	puts("}");
}
