/* The program: picks the command. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

int pfw_main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--version")) {
		puts(PACKAGE_VERSION);
		return PFW_EXIT_OK;
	}
	fputs("usage: pipefw run|schedule|list|describe|generate ...\n", stderr);
	return PFW_EXIT_CONFIG;
}
