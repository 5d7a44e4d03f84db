/*
 * cli.h: the commands of the pipefw program.
 */
#ifndef PFW_CORE_CLI_H
#define PFW_CORE_CLI_H

#include <pipefw/base.h>

/* Exit statuses; pipefw(1) lists them. */
#define PFW_EXIT_OK 0
#define PFW_EXIT_INTERNAL 1
#define PFW_EXIT_CONFIG 2     /**< usage or config */
#define PFW_EXIT_PLUGIN 3
#define PFW_EXIT_DATA 4
#define PFW_EXIT_CHECKPOINT 5 /**< cannot be read */
#define PFW_EXIT_BOOT 6       /**< ranks did not come together */
#define PFW_EXIT_DIED 7       /**< a rank died */
#define PFW_EXIT_HUNG 8       /**< a rank made no progress */
#define PFW_EXIT_NETWORK 9
#define PFW_EXIT_NONFINITE 10
#define PFW_EXIT_RESOURCES 11 /**< memory or disk */
#define PFW_EXIT_SAVE 12      /**< a checkpoint could not be written */

/** The exit status for what pfw_config_load() gave. */
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

#endif
