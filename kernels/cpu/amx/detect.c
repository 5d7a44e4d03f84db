/* Whether this process may use AMX tiles for bf16. */
#include "amx/detect.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#define AMX_BF16_BIT (1u << 22)  /* leaf 7, 0: edx */
#define AMX_TILE_BIT (1u << 24)
#define AVX512_BF16_BIT (1u << 5) /* leaf 7, 1: eax */

#define ARCH_REQ_XCOMP_PERM 0x1023 /* arch_prctl(2); Linux 5.16 */
#define XFEATURE_XTILEDATA 18

int cpu_amx_supported(void)
{
	unsigned a, b, c, d;

	if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) ||
	    !(d & AMX_BF16_BIT) || !(d & AMX_TILE_BIT))
		return 0;
	if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) ||
	    !(a & AVX512_BF16_BIT))
		return 0;
	/* For the whole process, and asking again is harmless. */
	return !syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM,
			XFEATURE_XTILEDATA);
}
