/*
 * child.h: a program of a bench: its lines read with a deadline, its end sure.
 */
#ifndef PFW_CORE_BENCH_CHILD_H
#define PFW_CORE_BENCH_CHILD_H

#include <pipefw/base.h>
#include <signal.h>
#include <sys/types.h>

#define PFW_BENCH_LINE 4096u

struct pfw_bench_child {
	pid_t pid;
	int stop;    /**< readable: the user wants an end */
	int in, out; /**< its standard input, its standard output */
	size_t n;    /**< bytes of text that wait */
	char text[PFW_BENCH_LINE];
};

/** Ctrl-C and the like become readable on *stop; given back, they do what they
 *  always do, so that who is stopped cleans up and then dies of it. */
int pfw_bench_signals_take(int *stop, sigset_t *was, struct pfw_error *err);
void pfw_bench_signals_give_back(int stop, const sigset_t *was);

/** @p argv ends in NULL; the program is looked for in PATH.  What it says on
 *  stderr goes to ours where PIPEFW_BENCH_VERBOSE is set, else nowhere. */
int pfw_bench_child_start(struct pfw_bench_child *child,
			  const char *const *argv, int stop,
			  struct pfw_error *err);
/** The next line, without its end; -ENODATA: it said its last; -ETIMEDOUT;
 *  -EINTR: asked to stop. */
int pfw_bench_child_line(struct pfw_bench_child *child, double seconds,
			 char *line, size_t len);
int pfw_bench_child_say(struct pfw_bench_child *child, const char *line);
/** Ends it (it may be gone, or never started); its status, < 0: killed. */
int pfw_bench_child_end(struct pfw_bench_child *child);

#endif
