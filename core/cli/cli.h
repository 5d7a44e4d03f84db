/*
 * cli.h: the commands of the pipefw program.
 */
#ifndef PFW_CORE_CLI_H
#define PFW_CORE_CLI_H

#include <pipefw/base.h>

#include "base/exit.h"

/** The exit status for what pfw_config_load() gave, or a job that was asked whether it
 *  can run. */
int pfw_cli_config_status(int rc);

/** The whole program; argv as main()'s. */
PFW_API int pfw_main(int argc, char **argv);

/* Each takes the words after the command's name; argv[0] is that name. */
int pfw_cli_run(int argc, char **argv);
int pfw_cli_schedule(int argc, char **argv);
int pfw_cli_list(int argc, char **argv);
int pfw_cli_describe(int argc, char **argv);
int pfw_cli_generate(int argc, char **argv);
int pfw_cli_report(int argc, char **argv);
int pfw_cli_bench(int argc, char **argv);
int pfw_cli_new(int argc, char **argv);
int pfw_cli_conform(int argc, char **argv);

#endif
