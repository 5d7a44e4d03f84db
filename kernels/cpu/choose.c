/*
 * Which kernels run: the best this processor can do, unless the environment
 * asks for others (tests, valgrind, comparing machines).
 */
#include "cpu.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_OPENBLAS
#include <cblas.h>
#endif

static int always(void)
{
	return 1;
}

#ifdef __x86_64__
static int has_avx2(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static int has_avx512(void)
{
	return has_avx2() && __builtin_cpu_supports("avx512f") &&
	       __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512dq") &&
	       __builtin_cpu_supports("avx512vl");
}
#define ISA_NAMES "generic, avx2 or avx512"
#else
#define ISA_NAMES "generic"
#endif

/* The best comes last.  prefer_own: our products are faster than OpenBLAS's
 * here (with their epilogues; without, they are about equal). */
static const struct {
	const char *name;
	const struct cpu_isa *isa;
	int (*supported)(void);
	int prefer_own;
} isas[] = {
	{ "generic", &cpu_generic_isa, always, 0 },
#ifdef __x86_64__
	{ "avx2", &cpu_avx2_isa, has_avx2, 0 },
	{ "avx512", &cpu_avx512_isa, has_avx512, 1 },
#endif
};

static int choose_isa(size_t *out, struct pfw_error *err)
{
	const char *want = getenv("PIPEFW_CPU");
	size_t n = sizeof(isas) / sizeof(isas[0]);

	for (size_t i = n; i-- > 0;) {
		if (want && *want && strcmp(want, isas[i].name))
			continue;
		if (isas[i].supported()) {
			*out = i;
			return 0;
		}
		if (want && *want)
			return pfw_error_set(err, ENOTSUP,
				"PIPEFW_CPU=%s: this processor has no %s; "
				"unset it to get the best there is",
				want, want);
	}
	return pfw_error_set(err, EINVAL,
			     "PIPEFW_CPU=%s: must be " ISA_NAMES, want);
}

#ifdef HAVE_OPENBLAS
/* "OpenBLAS 0.3.21 NO_LAPACKE ... SkylakeX": the kernels it picked for this
 * processor decide its bits, so their name belongs to the path. */
static void describe_blas(char *buf, size_t len)
{
	char version[32] = "";

	sscanf(openblas_get_config(), "OpenBLAS %31s", version);
	snprintf(buf, len, "OpenBLAS %s %s", version, openblas_get_corename());
	/* Threads of its own would spin on the cores of other ranks. */
	openblas_set_num_threads(1);
}
#endif

static int choose_blas(int prefer_own, int *blas, char *words, size_t len,
		       struct pfw_error *err)
{
	const char *want = getenv("PIPEFW_BLAS");

	snprintf(words, len, "own products");
	*blas = 0;
	if (want && *want ? !strcmp(want, "none") : prefer_own)
		return 0;
	if (want && *want && strcmp(want, "openblas"))
		return pfw_error_set(err, EINVAL,
				     "PIPEFW_BLAS=%s: must be openblas or none",
				     want);
#ifdef HAVE_OPENBLAS
	describe_blas(words, len);
	*blas = 1;
	return 0;
#else
	if (!want || !*want)
		return 0;
	return pfw_error_set(err, ENOTSUP,
			     "PIPEFW_BLAS=openblas: this pipefw was built "
			     "without OpenBLAS; unset it");
#endif
}

int cpu_choose(const struct pfw_device_info *info,
	       const struct pfw_kernels **kernels, char *path, size_t path_len,
	       struct pfw_error *err)
{
	char words[64];
	size_t i = 0;
	int blas = 0, r;

	if (info->dtype != PFW_F32)
		return pfw_error_set(err, ENOTSUP,
				     "the cpu device computes in fp32 only: "
				     "set device.dtype to \"fp32\"");
	r = choose_isa(&i, err);
	if (!r)
		r = choose_blas(isas[i].prefer_own, &blas, words, sizeof(words), err);
	if (r)
		return r;
	*kernels = blas ? &isas[i].isa->blas : &isas[i].isa->own;
	snprintf(path, path_len, "%s, %s, 1 thread", isas[i].name, words);
	return 0;
}
