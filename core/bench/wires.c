#include "bench/wires.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "conform/ends.h"

#define PATIENCE 60.0
#define CALLS 100u /* of a client whose server is not there yet */

/* Its last line in @p last; what it ended with. */
static int run(struct pfw_bench_room *room, const char *const *argv, char *last,
	       size_t len)
{
	struct pfw_bench_child child;
	char line[PFW_BENCH_LINE];
	int rc = pfw_bench_child_start(&child, argv, room->stop, NULL), status;

	*last = 0;
	while (!rc) {
		rc = pfw_bench_child_line(&child, PATIENCE, line, sizeof(line));
		if (!rc)
			snprintf(last, len, "%.250s", line);
	}
	status = pfw_bench_child_end(&child);
	return rc == -ENODATA ? status : rc;
}

static int mpi_prepare(struct pfw_bench_room *room, char *why, size_t len)
{
	char source[PATH_MAX], program[PATH_MAX], last[256];
	const char *argv[] = { "mpicc", "-O2", "-o", program, source, NULL };

	snprintf(program, sizeof(program), "%s/mpi", room->dir);
	if (pfw_bench_find("mpi_pingpong.c", source, sizeof(source), why, len))
		return -ENOENT;
	if (!run(room, argv, last, sizeof(last)))
		return 0;
	snprintf(why, len, "no mpicc (Debian: libopenmpi-dev, openmpi-bin)");
	return -ENOENT;
}

static int mpi_round(struct pfw_bench_room *room, const char *way,
		     const struct pfw_bench_sizes *sizes, double *ns)
{
	char program[PATH_MAX], words[2 * PFW_BENCH_SIZES][24], line[256];
	const char *argv[16 + 2 * PFW_BENCH_SIZES] = {
		"env", "OMPI_ALLOW_RUN_AS_ROOT=1",
		"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1", "OMPI_MCA_pml=ob1",
		"OMPI_MCA_hwloc_base_binding_policy=none",
		"OMPI_MCA_rmaps_base_oversubscribe=1", way, "mpirun", "-n",
		"2", program,
	};
	struct pfw_bench_child child;
	int rc;

	snprintf(program, sizeof(program), "%s/mpi", room->dir);
	for (uint32_t i = 0; i < sizes->n; i++) {
		snprintf(words[2 * i], 24, "%llu",
			 (unsigned long long)sizes->bytes[i]);
		snprintf(words[2 * i + 1], 24, "%u", sizes->trips[i]);
		argv[11 + 2 * i] = words[2 * i];
		argv[12 + 2 * i] = words[2 * i + 1];
	}
	rc = pfw_bench_child_start(&child, argv, room->stop, NULL);
	for (uint32_t i = 0; !rc && i < sizes->n; i++) {
		rc = pfw_bench_child_line(&child, PATIENCE, line, sizeof(line));
		if (!rc && sscanf(line, "%*u %lf", &ns[i]) != 1)
			rc = -EPROTO;
	}
	pfw_bench_child_end(&child);
	return rc;
}

static int ucx_prepare(struct pfw_bench_room *room, char *why, size_t len)
{
	const char *argv[] = { "ucx_perftest", "-h", NULL };
	char last[256];

	if (run(room, argv, last, sizeof(last)) != 127)
		return 0;
	snprintf(why, len, "no ucx_perftest (Debian: ucx-utils)");
	return -ENOENT;
}

/* A port that nobody listens on just now. */
static unsigned free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unsigned port = 0;

	if (fd >= 0 && !bind(fd, (struct sockaddr *)&a, sizeof(a)) &&
	    !getsockname(fd, (struct sockaddr *)&a, &len))
		port = ntohs(a.sin_port);
	if (fd >= 0)
		close(fd);
	return port;
}

/* It takes one size a run.  Iterations, then the median in microseconds. */
static int ucx_one(struct pfw_bench_room *room, const char *way, uint64_t bytes,
		   uint32_t trips, double *ns)
{
	char port[16], size[24], n[16], core[2][16], last[256];
	const char *server[] = { "env", way, "ucx_perftest", "-c", core[1],
				 "-p", port, NULL };
	const char *client[] = { "env", way, "ucx_perftest", "localhost", "-c",
				 core[0], "-p", port, "-t", "tag_lat", "-s",
				 size, "-n", n, "-w", "10", "-v", "-f", NULL };
	const struct timespec nap = { 0, 50 * (long)PFW_MS };
	struct pfw_bench_child child;
	int rc;

	snprintf(port, sizeof(port), "%u", free_port());
	snprintf(size, sizeof(size), "%llu", (unsigned long long)bytes);
	snprintf(n, sizeof(n), "%u", trips);
	for (int i = 0; i < 2; i++)
		snprintf(core[i], sizeof(core[i]), "%d", pfw_core_number(i));
	rc = pfw_bench_child_start(&child, server, room->stop, NULL);
	if (rc)
		return rc;
	for (uint32_t call = 0; call < CALLS; call++) {
		nanosleep(&nap, NULL);
		rc = run(room, client, last, sizeof(last));
		if (rc < 0)
			break;
		rc = -EPROTO;
		if (sscanf(last, " %*u,%lf", ns) == 1) {
			*ns *= 1e3;
			rc = 0;
			break;
		}
	}
	pfw_bench_child_end(&child);
	return rc;
}

static int ucx_round(struct pfw_bench_room *room, const char *way,
		     const struct pfw_bench_sizes *sizes, double *ns)
{
	int rc = 0;

	for (uint32_t i = 0; !rc && i < sizes->n; i++)
		rc = ucx_one(room, way, sizes->bytes[i], sizes->trips[i],
			     &ns[i]);
	return rc;
}

const struct pfw_bench_wire pfw_bench_wires[] = {
	{ "Open MPI vader", "shm", "OMPI_MCA_btl=vader,self", mpi_prepare,
	  mpi_round },
	{ "ucx posix,cma", "shm", "UCX_TLS=posix,cma", ucx_prepare, ucx_round },
	{ "Open MPI tcp", "tcp", "OMPI_MCA_btl=tcp,self", mpi_prepare,
	  mpi_round },
	{ "ucx tcp", "tcp", "UCX_TLS=tcp", ucx_prepare, ucx_round },
};

const size_t pfw_bench_n_wires =
	sizeof(pfw_bench_wires) / sizeof(pfw_bench_wires[0]);
