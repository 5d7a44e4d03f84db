/* The program: picks the command. */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/text.h"

static const struct command {
	const char *name;
	const char *arguments;
	const char *summary;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "run", "FILE", "trains what a config file describes", pfw_cli_run },
	{ "report", "DIR", "a traced run beside its prediction, and what would "
	  "make it faster", pfw_cli_report },
	{ "generate", "DIR", "text from a saved model", pfw_cli_generate },
	{ "schedule", "NAME -p P -m M", "a schedule's timeline and figures",
	  pfw_cli_schedule },
	{ "bench", "[PART...]", "figures of this machine, pipefw and its peers",
	  pfw_cli_bench },
	{ "new", "KIND NAME DIR", "a schedule, transport or stage of your own: a "
	  "small project that builds", pfw_cli_new },
	{ "conform", "PLUGIN", "a plugin held to what its header promises",
	  pfw_cli_conform },
	{ "list", "[KIND]", "plugins that are found, and why some cannot run",
	  pfw_cli_list },
	{ "describe", "PLUGIN|GROUP", "options of a plugin or of a config group",
	  pfw_cli_describe },
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *to)
{
	char call[64];

	fputs("pipefw trains transformers with pipeline parallelism.\n\n"
	      "usage: pipefw COMMAND [OPTION...]\n\n", to);
	for (size_t i = 0; i < N_COMMANDS; i++) {
		snprintf(call, sizeof(call), "%s %s", commands[i].name,
			 commands[i].arguments);
		fprintf(to, "  %-24s ", call);
		pfw_text_wrap(to, 27, commands[i].summary);
	}
	fputs("\n  --help                   this text; pipefw COMMAND --help says "
	      "more\n"
	      "  --version                version of the program\n\n"
	      "Manuals: pipefw(1), pipefw.cfg(5), pipefw-plugin(7).\n", to);
}

static int unknown(const char *word)
{
	const char *words[N_COMMANDS];

	for (size_t i = 0; i < N_COMMANDS; i++)
		words[i] = commands[i].name;
	return pfw_text_unknown("", *word == '-' ? "option" : "command", word,
				words, N_COMMANDS);
}

int pfw_cli_config_status(int rc)
{
	switch (rc) {
	case 0:
		return PFW_EXIT_OK;
	case -ENOMEM:
		return PFW_EXIT_RESOURCES;
	case -ELIBACC:
	case -ENODEV:
		return PFW_EXIT_PLUGIN;
	}
	return PFW_EXIT_CONFIG;
}

/* A file that is opened must not get a closed standard stream's number, or
 * the next message would be written into it.  /dev/null in the wrong mode keeps
 * the number and the error. */
static void keep_standard_streams(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd ? O_RDONLY : O_WRONLY) != fd)
			_exit(PFW_EXIT_RESOURCES);
}

/* What was asked for and did not arrive is no success, and where a command saw
 * it while it wrote, it was not the user's words that were wrong. */
static int flushed(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	fputs("pipefw: standard output could not be written whole\n", stderr);
	return status == PFW_EXIT_OK || status == PFW_EXIT_CONFIG ?
		       PFW_EXIT_RESOURCES : status;
}

static int run_command(int argc, char **argv)
{
	if (argc < 2) {
		print_help(stderr);
		return PFW_EXIT_CONFIG;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
	    !strcmp(argv[1], "help")) {
		print_help(stdout);
		return PFW_EXIT_OK;
	}
	if (!strcmp(argv[1], "--version")) {
		puts("pipefw " PACKAGE_VERSION);
		return PFW_EXIT_OK;
	}
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	return unknown(argv[1]);
}

int pfw_main(int argc, char **argv)
{
	/* A BLAS that comes with a plugin must start no threads of its own: ranks
	 * are pinned one to a core, and its pool would spin on the others'. */
	setenv("OPENBLAS_NUM_THREADS", "1", 1);
	keep_standard_streams();
	/* A file that grows beyond `ulimit -f` is an error to tell, no death. */
	signal(SIGXFSZ, SIG_IGN);
	return flushed(run_command(argc, argv));
}
