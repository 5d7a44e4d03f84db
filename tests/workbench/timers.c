/*
 * What this machine's timers are good for, without pipefw: so many processes
 * sleep so many times, each time from where they woke, as layers of the stage
 * synthetic do.  Prints by how much longer the median one took, in percent.
 *
 *   timers PROCESSES SLEEPS MILLISECONDS
 */
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* As in the stage: the last bit is waited for awake, and others may run. */
#define LATE_NS 100000

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t sleeper(int n, int64_t ns)
{
	int64_t begin = now();

	prctl(PR_SET_TIMERSLACK, 1ul);
	for (int i = 0; i < n; i++) {
		int64_t end = now() + ns, wake = end - LATE_NS;
		const struct timespec t = { wake / 1000000000, wake % 1000000000 };

		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
		while (now() < end)
			sched_yield();
	}
	return now() - begin;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	int processes = argc > 1 ? atoi(argv[1]) : 1;
	int n = argc > 2 ? atoi(argv[2]) : 100;
	int64_t ns = (int64_t)(1e6 * (argc > 3 ? atof(argv[3]) : 5));
	int64_t *took = mmap(NULL, sizeof(*took) * (size_t)processes,
				     PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (took == MAP_FAILED)
		return 1;
	for (int i = 0; i < processes; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return 1;
		if (!pid) {
			took[i] = sleeper(n, ns);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
	qsort(took, (size_t)processes, sizeof(*took), compare);
	printf("%.2f\n", 100 * ((double)took[processes / 2] /
			       ((double)n * (double)ns) - 1));
	return 0;
}
