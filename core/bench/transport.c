/* Messages between two processes: a transport, and others beside it. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/bench.h"
#include "bench/devices.h"
#include "bench/pingpong.h"
#include "bench/wires.h"
#include "launch/topology.h"
#include "settings/config.h"

#define SPIN_NS PFW_MS
#define MAX_WIRES 4u
#define QUICKER 20u /* times fewer trips with --quick */

static const struct {
	uint64_t bytes;
	const char *name;
	uint32_t trips;
} sizes[PFW_BENCH_SIZES] = {
	{ 8, "8 B", 20000 },       { 4096, "4 KiB", 10000 },
	{ 65536, "64 KiB", 4000 }, { 1 << 20, "1 MiB", 400 },
	{ 4 << 20, "4 MiB", 100 }, { 32 << 20, "32 MiB", 20 },
};

#define N_QUICK 4u
#define LATENCY 0u
#define FIRST_IN_PLACE 1u
#define FIRST_COPY 2u

/* Half round trips, ns: of a size, round by round. */
typedef double trips[PFW_BENCH_SIZES][PFW_BENCH_MAX_ROUNDS];

struct field {
	struct pfw_bench *bench;
	struct pfw_bench_room room;
	struct pfw_subject ours;
	const struct pfw_loaded *device;
	struct pfw_transport_props props;
	struct pfw_bench_sizes sizes;
	trips in_place, copy, theirs[MAX_WIRES];
	char why[MAX_WIRES][256]; /* not measured; empty: it is */
};

static int run_ours(struct field *f, bool copy, uint32_t round, trips out,
		    struct pfw_error *err)
{
	struct pfw_pingpong p = {
		.spin_ns = pfw_cores() > 1 ? SPIN_NS : 0,
		.rounds = 1,
		.n_sizes = f->sizes.n,
		.copy = copy,
		.pin = pfw_cores() > 1,
	};
	int rc;

	memcpy(p.bytes, f->sizes.bytes, sizeof(f->sizes.bytes));
	memcpy(p.times, f->sizes.trips, sizeof(f->sizes.trips));
	rc = pfw_pingpong_run(&f->ours, &p, err);
	for (uint32_t i = 0; !rc && i < f->sizes.n; i++)
		out[i][round] = p.half[i];
	return rc;
}

static int is_beside(const struct field *f, size_t wire)
{
	return wire < MAX_WIRES && !strcmp(pfw_bench_wires[wire].transport,
					   f->bench->transport);
}

static void run_wire(struct field *f, size_t w, uint32_t round)
{
	const struct pfw_bench_wire *wire = &pfw_bench_wires[w];
	double ns[PFW_BENCH_SIZES] = { 0 };

	if (*f->why[w])
		return;
	if (wire->round(&f->room, wire->way, &f->sizes, ns))
		snprintf(f->why[w], sizeof(f->why[w]),
			 "it failed (PIPEFW_BENCH_VERBOSE=1 shows what it says)");
	for (uint32_t i = 0; i < f->sizes.n; i++)
		f->theirs[w][i][round] = ns[i];
}

static int one_round(struct field *f, uint32_t round, struct pfw_error *err)
{
	struct pollfd stop = { .fd = f->room.stop, .events = POLLIN };
	int rc = run_ours(f, false, round, f->in_place, err);

	if (!rc && f->props.shared_slots)
		rc = run_ours(f, true, round, f->copy, err);
	for (size_t w = 0; !rc && w < pfw_bench_n_wires; w++)
		if (is_beside(f, w))
			run_wire(f, w, round);
	if (!rc && poll(&stop, 1, 0) > 0)
		rc = pfw_error_set(err, EINTR, "stopped as asked");
	return rc;
}

/* In microseconds; in GB/s where @p bandwidth. */
static void convert(const double *ns, uint32_t rounds, uint64_t bytes,
		    int bandwidth, double *out)
{
	for (uint32_t i = 0; i < rounds; i++)
		out[i] = bandwidth ? (double)bytes / ns[i] : ns[i] / 1e3;
}

/* What a kind of row is, all its sizes. */
struct kind {
	const char *work;
	int bandwidth;
	double aim, limit;
};

static void print_size(const struct field *f, const struct kind *k, uint32_t i,
		       double *ns)
{
	const uint32_t rounds = f->bench->rounds;
	struct pfw_bench_row row = {
		.unit = k->bandwidth ? "GB/s" : "us",
		.less_is_better = !k->bandwidth,
		.aim = k->aim,
		.limit = k->limit,
	};
	char work[64];
	int alone = 1;

	snprintf(work, sizeof(work), "%s %s", k->work, sizes[i].name);
	row.work = work;
	convert(ns, rounds, sizes[i].bytes, k->bandwidth, row.ours);
	for (size_t w = 0; w < pfw_bench_n_wires; w++) {
		if (!is_beside(f, w) || *f->why[w])
			continue;
		row.peer = pfw_bench_wires[w].name;
		convert(f->theirs[w][i], rounds, sizes[i].bytes, k->bandwidth,
			row.theirs);
		pfw_bench_print(f->bench, &row);
		alone = 0;
	}
	row.aim = 0;
	if (alone)
		pfw_bench_print(f->bench, &row);
}

/* The largest beside the smallest: it does not grow. */
static void print_flat(struct field *f)
{
	struct pfw_bench_row row = { .unit = "us", .less_is_better = 1,
				     .peer = "4 KiB", .aim = 0.8 };
	char work[64];

	snprintf(work, sizeof(work), "in place %s",
		 sizes[f->sizes.n - 1].name);
	row.work = work;
	convert(f->in_place[f->sizes.n - 1], f->bench->rounds, 0, 0, row.ours);
	convert(f->in_place[FIRST_IN_PLACE], f->bench->rounds, 0, 0, row.theirs);
	pfw_bench_print(f->bench, &row);
}

static void print_rows(struct field *f)
{
	const struct kind latency = { "half round trip", 0, 1, 0 };
	const struct kind in_place = { "in place", 0, 0, 1 };
	const struct kind copy = { f->props.shared_slots ? "copied out" :
							   "half round trip",
				   1, f->props.shared_slots ? 1.1 : 0, 0 };

	print_size(f, &latency, LATENCY, f->in_place[LATENCY]);
	if (f->props.shared_slots) {
		for (uint32_t i = FIRST_IN_PLACE; i < f->sizes.n; i++)
			print_size(f, &in_place, i, f->in_place[i]);
		print_flat(f);
	}
	for (uint32_t i = FIRST_COPY; i < f->sizes.n; i++)
		print_size(f, &copy, i, f->props.shared_slots ? f->copy[i] :
								f->in_place[i]);
}

static void print_skipped(struct field *f)
{
	int known = 0;

	for (size_t w = 0; w < pfw_bench_n_wires; w++) {
		if (!is_beside(f, w))
			continue;
		known = 1;
		if (*f->why[w])
			pfw_bench_skip(f->bench, f->bench->transport,
				       pfw_bench_wires[w].name, f->why[w]);
	}
	if (!known)
		pfw_bench_skip(f->bench, f->bench->transport, "others",
			       "nobody is known who does the same");
}

static int measure(struct field *f, struct pfw_error *err)
{
	char heading[128];
	int rc = 0;

	for (size_t w = 0; w < pfw_bench_n_wires; w++)
		if (is_beside(f, w))
			pfw_bench_wires[w].prepare(&f->room, f->why[w],
						   sizeof(f->why[w]));
	snprintf(heading, sizeof(heading), "%.60s, two processes on %s",
		 f->bench->transport,
		 pfw_cores() > 1 ? "two cores" : "one core");
	pfw_bench_heading(f->bench, heading);
	for (uint32_t i = 0; !rc && i < f->bench->rounds; i++)
		rc = one_round(f, i, err);
	if (rc)
		return rc;
	print_rows(f);
	print_skipped(f);
	return 0;
}

/* 0; -ENODEV with the reason in @p why where it cannot run here. */
static int take_ours(struct field *f, char *why, size_t len,
		     struct pfw_error *err)
{
	const struct pfw_loaded *plugin;
	struct pfw_values *values = NULL;
	int rc = pfw_registry_get(f->bench->registry, PFW_KIND_TRANSPORT,
				  f->bench->transport, &plugin, err);

	if (rc)
		return rc;
	f->ours.ops = &plugin->ops.transport;
	rc = pfw_values_from_texts(plugin->info.options,
				   plugin->info.n_options, plugin->info.name,
				   NULL, 0, &values, err);
	if (rc)
		return rc;
	snprintf(f->ours.name, sizeof(f->ours.name), "%s", plugin->info.name);
	f->ours.opt = values;
	f->props.size = sizeof(f->props);
	pfw_subject_props(&f->ours, &f->props);
	if (f->device->ops.device.memory) {
		if (f->props.memory & f->device->ops.device.memory)
			return 0;
		snprintf(why, len, "it does not move this device's memory");
		return -ENODEV;
	}
	/* Not before processes that use a GPU: it may open one. */
	if (f->ours.ops->probe && f->ours.ops->probe(why, len))
		return -ENODEV;
	if (f->props.memory & PFW_MEM_HOST && !f->ours.ops->post)
		return 0;
	snprintf(why, len, "it does not move the host's memory by itself");
	return -ENODEV;
}

static void take_sizes(struct field *f)
{
	f->sizes.n = f->bench->quick ? N_QUICK : PFW_BENCH_SIZES;
	for (uint32_t i = 0; i < f->sizes.n; i++) {
		f->sizes.bytes[i] = sizes[i].bytes;
		f->sizes.trips[i] = sizes[i].trips /
				    (f->bench->quick ? QUICKER : 1);
	}
}

int pfw_bench_transport(struct pfw_bench *bench, struct pfw_error *err)
{
	struct field *f = calloc(1, sizeof(*f));
	char why[256] = "it cannot run here";
	int rc;

	if (!f)
		return pfw_error_set(err, ENOMEM, "out of memory");
	bench->part = "transport";
	f->bench = bench;
	take_sizes(f);
	rc = pfw_registry_get(bench->registry, PFW_KIND_DEVICE, bench->device,
			      &f->device, err);
	if (!rc)
		rc = take_ours(f, why, sizeof(why), err);
	if (!rc && f->device->ops.device.memory) {
		rc = pfw_bench_devices(bench, &f->ours, f->device, err);
	} else if (rc == -ENODEV) {
		pfw_bench_skip(bench, bench->transport, NULL, why);
		rc = 0;
	} else if (!rc) {
		rc = pfw_bench_room_open(&f->room, err);
		if (!rc) {
			rc = measure(f, err);
			pfw_bench_room_close(&f->room);
		}
	}
	pfw_values_free((struct pfw_values *)f->ours.opt);
	free(f);
	return rc;
}
