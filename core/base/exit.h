/*
 * exit.h: exit statuses of the program; pipefw(1) lists them.
 */
#ifndef PFW_CORE_EXIT_H
#define PFW_CORE_EXIT_H

#define PFW_EXIT_OK 0
#define PFW_EXIT_INTERNAL 1
#define PFW_EXIT_CONFIG 2     /**< usage or config, paths that lead nowhere too */
#define PFW_EXIT_PLUGIN 3
#define PFW_EXIT_DATA 4       /**< is there and cannot be used */
#define PFW_EXIT_CHECKPOINT 5 /**< the same */
#define PFW_EXIT_BOOT 6       /**< ranks did not come together */
#define PFW_EXIT_DIED 7       /**< a rank died */
#define PFW_EXIT_HUNG 8       /**< a rank made no progress */
#define PFW_EXIT_NETWORK 9
#define PFW_EXIT_NONFINITE 10
#define PFW_EXIT_RESOURCES 11 /**< memory or disk */
#define PFW_EXIT_SAVE 12      /**< a checkpoint could not be written */

#endif
