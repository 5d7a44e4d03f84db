/*
 * Messages between two devices: half a round trip by size, and what the traffic
 * costs who computes meanwhile.
 *
 * Each end is a process, which opens its device itself: who has opened one must not
 * fork.
 */
#include "bench/devices.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/devices_node.h"

#define LAST_WORDS_MS 1000
#define BANDWIDTH_FROM 65536u /* smaller messages are all latency */

/* Two processes, and what is between them. */
struct pair {
	struct pfw_bench *bench;
	const struct pfw_subject *subject;
	const struct pfw_device_ops *ops;
};

static pid_t start(const struct pair *pair, uint32_t rank, const int peers[2],
		   int *fd)
{
	int ends[2];
	pid_t pid;

	if (pipe(ends))
		return -1;
	pid = fork();
	if (!pid) {
		close(ends[0]);
		close(peers[!rank]);
		pfw_device_node_main(pair->bench, pair->subject, pair->ops,
				     rank, peers[rank], ends[1]);
	}
	close(ends[1]);
	*fd = ends[0];
	return pid;
}

/* A failure of either is the end of both.  That the other one is gone is no reason:
 * it is given time to say its own. */
static void collect(const pid_t pid[2], const int fd[2],
		    struct pfw_device_figures *out)
{
	struct pollfd p[2] = { { .fd = fd[0], .events = POLLIN },
			       { .fd = fd[1], .events = POLLIN } };
	struct pfw_device_figures *got = malloc(sizeof(*got));
	int left = 2, told = 0;

	out->rc = -ENOMEM;
	while (got && left && poll(p, 2, told ? LAST_WORDS_MS : -1) > 0)
		for (int i = 0; i < 2; i++) {
			size_t have = 0;
			ssize_t n = 1;

			if (p[i].fd < 0 || !p[i].revents)
				continue;
			for (; have < sizeof(*got) && n > 0; have += (size_t)n)
				n = read(fd[i], (char *)got + have,
					 sizeof(*got) - have);
			if (have != sizeof(*got))
				*got = (struct pfw_device_figures){ .rc = -EPIPE,
							 .why = "it died" };
			if (got->rc ? !told || told == -EPIPE : !i && !told)
				*out = *got;
			if (got->rc)
				told = out->rc;
			p[i].fd = -1;
			left = told && told != -EPIPE ? 0 : left - 1;
		}
	for (int i = 0; i < 2; i++) {
		if (left || !got || out->rc)
			kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
		close(fd[i]);
	}
	free(got);
}

static int run(const struct pair *pair, struct pfw_device_figures *out,
	       struct pfw_error *err)
{
	int peers[2], fd[2];
	pid_t pid[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, peers))
		return pfw_error_set(err, errno, "no sockets: %s", strerror(errno));
	fflush(stdout);
	for (uint32_t r = 0; r < 2; r++) {
		pid[r] = start(pair, r, peers, &fd[r]);
		if (pid[r] < 0)
			return pfw_error_set(err, errno, "no process: %s",
					     strerror(errno));
	}
	close(peers[0]);
	close(peers[1]);
	collect(pid, fd, out);
	return 0;
}

static void print_size(struct pfw_bench *bench, const struct pfw_device_figures *f,
		       uint32_t size, int bandwidth)
{
	struct pfw_bench_row row = { .unit = bandwidth ? "GB/s" : "us",
				     .less_is_better = !bandwidth };
	char work[64];

	snprintf(work, sizeof(work), "half round trip %s", pfw_device_sizes[size].name);
	row.work = work;
	for (uint32_t r = 0; r < bench->rounds; r++)
		row.ours[r] = bandwidth ?
				      (double)pfw_device_sizes[size].bytes /
					      f->half[size][r] :
				      f->half[size][r] / 1e3;
	pfw_bench_print(bench, &row);
}

static void print(const struct pair *pair, const char *device,
		  const struct pfw_device_figures *f, int moves)
{
	struct pfw_bench *bench = pair->bench;
	struct pfw_bench_row row = { .unit = "ms", .less_is_better = 1,
				     .peer = "alone" };
	uint32_t beside = pfw_device_beside(bench);
	char work[64], heading[128];

	snprintf(heading, sizeof(heading), "%.40s, two processes on %.40s, %s",
		 pair->subject->name, device,
		 moves ? "messages moved" : "messages read in place");
	pfw_bench_heading(bench, heading);
	for (uint32_t i = 0; i < pfw_device_n_sizes(bench); i++) {
		print_size(bench, f, i, 0);
		if (moves && pfw_device_sizes[i].bytes >= BANDWIDTH_FROM)
			print_size(bench, f, i, 1);
	}
	snprintf(work, sizeof(work), "products beside %s", pfw_device_sizes[beside].name);
	row.work = work;
	memcpy(row.ours, f->beside, sizeof(row.ours));
	memcpy(row.theirs, f->alone, sizeof(row.theirs));
	pfw_bench_print(bench, &row);
}

int pfw_bench_devices(struct pfw_bench *bench, const struct pfw_subject *subject,
		      const struct pfw_loaded *device, struct pfw_error *err)
{
	struct pfw_device_figures *f = calloc(1, sizeof(*f));
	const struct pair pair = { bench, subject, &device->ops.device };
	struct pfw_transport_props props = { .size = sizeof(props) };
	int rc;

	if (!f)
		return pfw_error_set(err, ENOMEM, "out of memory");
	rc = run(&pair, f, err);
	pfw_subject_props(subject, &props);
	if (!rc && f->rc)
		pfw_bench_skip(bench, subject->name, NULL, f->why);
	else if (!rc)
		print(&pair, device->info.name, f,
		      f->copied || !props.shared_slots);
	free(f);
	return rc;
}
