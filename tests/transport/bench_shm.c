/*
 * bench_shm.c: the shm transport beside Open MPI (vader) and UCX.
 *
 * bench_shm [--json] [--rounds N]: half round trips between two processes on
 * two cores, in rounds that take each peer in turn; of each peer and size the
 * median within a round and the median of the rounds.  "copy" moves the payload
 * into private memory, which the others always do; "in place" is how pipefw
 * hands over activations.  What is not installed is skipped, and said so.
 */
#include "pingpong.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_ROUNDS 99u

static const struct {
	uint64_t bytes;
	uint32_t times;
} sizes[] = {
	{ 8, 20000 }, { 4096, 10000 }, { 65536, 4000 }, { 1 << 20, 400 },
	{ 4 << 20, 100 }, { 32 << 20, 12 },
};

#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

struct bench {
	struct pfw_subject shm;
	char scratch[64];
	uint32_t rounds;
	bool json;
};

struct peer {
	const char *name, *title;
	/* One round: ns for each size; 0 where there is none. */
	int (*round)(struct bench *b, double ns[N_SIZES]);
	double half[N_SIZES][MAX_ROUNDS];
	const char *skipped;
};

static int run_shm(struct bench *b, bool copy, double ns[N_SIZES])
{
	struct pingpong p = {
		.spin_ns = 1000000,
		.rounds = 1,
		.n_sizes = N_SIZES,
		.copy = copy,
		.pin = true,
	};
	struct pfw_error err;

	for (size_t i = 0; i < N_SIZES; i++) {
		p.bytes[i] = sizes[i].bytes;
		p.times[i] = sizes[i].times;
	}
	if (pingpong_run(&b->shm, &p, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return -EIO;
	}
	memcpy(ns, p.half, N_SIZES * sizeof(*ns));
	return 0;
}

static int run_in_place(struct bench *b, double ns[N_SIZES])
{
	return run_shm(b, false, ns);
}

static int run_copy(struct bench *b, double ns[N_SIZES])
{
	return run_shm(b, true, ns);
}

/* Reads "BYTES NS" lines. */
static int read_results(const char *command, double ns[N_SIZES])
{
	FILE *f = popen(command, "re");
	unsigned long long bytes;
	double value;

	if (!f)
		return -errno;
	while (fscanf(f, "%llu %lf", &bytes, &value) == 2)
		for (size_t i = 0; i < N_SIZES; i++)
			if (sizes[i].bytes == bytes)
				ns[i] = value;
	return pclose(f) ? -EIO : 0;
}

static int run_mpi(struct bench *b, double ns[N_SIZES])
{
	char command[1024];
	int n = snprintf(command, sizeof(command),
			 "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 "
			 "mpirun -n 2 --bind-to core --mca pml ob1 --mca btl vader,self "
			 "%s/mpi", b->scratch);

	for (size_t i = 0; i < N_SIZES; i++)
		n += snprintf(command + n, sizeof(command) - (size_t)n, " %llu %u",
			      (unsigned long long)sizes[i].bytes, sizes[i].times);
	return read_results(command, ns);
}

/* ucx_perftest takes one size a run; its fourth column is the median in us. */
static int run_ucx(struct bench *b, double ns[N_SIZES])
{
	char command[1024];

	(void)b;
	for (size_t i = 0; i < N_SIZES; i++) {
		snprintf(command, sizeof(command),
			 "export UCX_TLS=posix,cma; p=$((20000 + $$ %% 20000)); "
			 "taskset -c 0 ucx_perftest -p $p >/dev/null 2>&1 & "
			 "sleep 0.3; taskset -c 1 ucx_perftest localhost -p $p "
			 "-t tag_lat -s %llu -n %u 2>/dev/null | "
			 "awk '/Final/ { print %llu, $3 * 1000 }'; wait",
			 (unsigned long long)sizes[i].bytes, sizes[i].times,
			 (unsigned long long)sizes[i].bytes);
		if (read_results(command, ns))
			return -EIO;
	}
	return 0;
}

static struct peer peers[] = {
	{ .name = "in_place", .title = "pipefw in place", .round = run_in_place },
	{ .name = "copy", .title = "pipefw copy", .round = run_copy },
	{ .name = "vader", .title = "Open MPI vader", .round = run_mpi },
	{ .name = "ucx", .title = "ucx_perftest", .round = run_ucx },
};

#define N_PEERS (sizeof(peers) / sizeof(peers[0]))

static bool works(const char *command)
{
	return system(command) == 0;
}

static void look_for_peers(struct bench *b)
{
	const char *srcdir = getenv("srcdir");
	char command[1024];

	snprintf(command, sizeof(command), "mpicc -O2 -o %s/mpi "
		 "%s/tests/transport/mpi_pingpong.c >/dev/null 2>&1", b->scratch,
		 srcdir ? srcdir : "..");
	if (!works(command))
		peers[2].skipped = "no mpicc (Debian: libopenmpi-dev, openmpi-bin)";
	if (!works("command -v ucx_perftest >/dev/null"))
		peers[3].skipped = "no ucx_perftest (Debian: ucx-utils)";
}

static double result(const struct peer *p, size_t size, uint32_t rounds)
{
	double v[MAX_ROUNDS];

	memcpy(v, p->half[size], rounds * sizeof(*v));
	return median(v, rounds);
}

static void print_table(const struct bench *b)
{
	printf("half a round trip, us (GB/s), median of %u rounds' medians\n%-16s",
	       b->rounds, "");
	for (size_t i = 0; i < N_SIZES; i++)
		printf("%17llu", (unsigned long long)sizes[i].bytes);
	for (size_t p = 0; p < N_PEERS; p++) {
		printf("\n%-16s", peers[p].title);
		for (size_t i = 0; !peers[p].skipped && i < N_SIZES; i++) {
			double ns = result(&peers[p], i, b->rounds);

			printf("%9.2f (%5.1f)", ns / 1e3,
			       (double)sizes[i].bytes / ns);
		}
		if (peers[p].skipped)
			printf(" skipped: %s", peers[p].skipped);
	}
	printf("\n");
}

static void print_json(const struct bench *b)
{
	printf("{\"bench\": \"shm\", \"rounds\": %u, \"unit\": \"ns\", \"bytes\": [",
	       b->rounds);
	for (size_t i = 0; i < N_SIZES; i++)
		printf("%s%llu", i ? ", " : "", (unsigned long long)sizes[i].bytes);
	printf("]");
	for (size_t p = 0; p < N_PEERS; p++) {
		if (peers[p].skipped) {
			printf(", \"%s_skipped\": \"%s\"", peers[p].name,
			       peers[p].skipped);
			continue;
		}
		printf(", \"%s\": [", peers[p].name);
		for (size_t i = 0; i < N_SIZES; i++)
			printf("%s%.1f", i ? ", " : "",
			       result(&peers[p], i, b->rounds));
		printf("]");
	}
	printf("}\n");
}

static int run_rounds(struct bench *b)
{
	for (uint32_t r = 0; r < b->rounds; r++)
		for (size_t p = 0; p < N_PEERS; p++) {
			double ns[N_SIZES] = { 0 };

			if (peers[p].skipped)
				continue;
			if (peers[p].round(b, ns))
				peers[p].skipped = "it failed";
			for (size_t i = 0; i < N_SIZES; i++)
				peers[p].half[i][r] = ns[i];
		}
	return 0;
}

int main(int argc, char **argv)
{
	struct bench b = { .rounds = 5 };
	struct pfw_registry *registry;
	struct pfw_error err;

	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--json"))
			b.json = true;
		else if (!strcmp(argv[i], "--rounds") && i + 1 < argc)
			b.rounds = (uint32_t)atoi(argv[++i]);
	if (b.rounds < 1 || b.rounds > MAX_ROUNDS ||
	    pfw_registry_open(NULL, &registry, &err) ||
	    subject_load(registry, "shm", "", NULL, &b.shm, &err))
		return 1;
	scratch_make(b.scratch);
	look_for_peers(&b);
	run_rounds(&b);
	if (b.json)
		print_json(&b);
	else
		print_table(&b);
	scratch_remove(b.scratch);
	subject_free(&b.shm);
	pfw_registry_close(registry);
	return 0;
}
