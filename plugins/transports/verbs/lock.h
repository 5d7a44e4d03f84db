/*
 * lock.h: how much memory this process may lock.
 */
#ifndef VERBS_LOCK_H
#define VERBS_LOCK_H

#include <stdint.h>

/** What to do about it. */
#define VERBS_RAISE_LOCK                                                       \
	"raise it: ulimit -l unlimited, LimitMEMLOCK=infinity (systemd), "     \
	"--ulimit memlock=-1 (docker), memlock in /etc/security/limits.conf"

/** Bytes: ulimit -l, as the kernel holds registrations to it; UINT64_MAX: any. */
uint64_t verbs_lock_limit(void);

#endif
