/*
 * signals.h: which signals end a command.
 */
#ifndef PFW_CORE_SIGNALS_H
#define PFW_CORE_SIGNALS_H

#include <signal.h>

/**
 * INT, TERM and HUP, less those that whoever started us, nohup or a shell for its
 * background jobs, has said shall not: a signalfd would hear them nevertheless.
 */
static inline void pfw_signals_that_end(sigset_t *out)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction now;

	sigemptyset(out);
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (sigaction(ends[i], NULL, &now) || now.sa_handler != SIG_IGN)
			sigaddset(out, ends[i]);
}

#endif
