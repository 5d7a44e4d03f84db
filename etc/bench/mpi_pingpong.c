/*
 * mpi_pingpong.c: half a round trip through MPI, for `pipefw bench transport`.
 *
 * mpi_pingpong BYTES TIMES [BYTES TIMES]...: a line "BYTES NS" for each, the
 * median.  The first and the last word are written and read, as pipefw's side
 * does.  The n-th process is put on the n-th processor that it may use.
 */
#define _GNU_SOURCE
#include <mpi.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double pingpong(int rank, int bytes, int times)
{
	double *half = malloc((size_t)times * sizeof(*half)), before, now, median;
	uint64_t *out = malloc((size_t)bytes), *in = malloc((size_t)bytes);

	memset(out, 1, (size_t)bytes);
	memset(in, 1, (size_t)bytes);
	MPI_Barrier(MPI_COMM_WORLD);
	now = MPI_Wtime();
	for (int i = 0; i < times; i++) {
		before = now;
		out[0] = out[bytes / 8 - 1] = (uint64_t)i;
		if (rank == 0)
			MPI_Send(out, bytes, MPI_BYTE, 1, 0, MPI_COMM_WORLD);
		MPI_Recv(in, bytes, MPI_BYTE, !rank, 0, MPI_COMM_WORLD,
			 MPI_STATUS_IGNORE);
		if (in[0] != (uint64_t)i || in[bytes / 8 - 1] != (uint64_t)i)
			MPI_Abort(MPI_COMM_WORLD, 1);
		if (rank == 1)
			MPI_Send(out, bytes, MPI_BYTE, 0, 0, MPI_COMM_WORLD);
		now = MPI_Wtime();
		half[i] = (now - before) / 2;
	}
	qsort(half, (size_t)times, sizeof(*half), by_value);
	median = half[times / 2] * 1e9;
	free(half);
	free(out);
	free(in);
	return median;
}

static void use_core(int n)
{
	cpu_set_t all, one;

	CPU_ZERO(&one);
	sched_getaffinity(0, sizeof(all), &all);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &all) && n-- == 0)
			CPU_SET(i, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

int main(int argc, char **argv)
{
	int rank;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	use_core(rank);
	for (int i = 1; i + 1 < argc; i += 2) {
		double ns = pingpong(rank, atoi(argv[i]), atoi(argv[i + 1]));

		if (rank == 0)
			printf("%s %.1f\n", argv[i], ns);
	}
	MPI_Finalize();
	return 0;
}
