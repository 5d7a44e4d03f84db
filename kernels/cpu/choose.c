/*
 * Which kernels run: the best this processor can do, unless the environment
 * asks for others (tests, valgrind, comparing machines).
 */
#include "cpu.h"

#include "amx/detect.h"

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
#define ISA_NAMES "generic, avx2, avx512 or amx"

#ifdef HAVE_AMX
static int has_amx(void)
{
	return has_avx512() && cpu_amx_supported();
}
#endif
#else
#define ISA_NAMES "generic"
#endif

/* The best comes last.  prefer_own: our products are faster than OpenBLAS's
 * here (with their epilogues; without, they are about equal). */
static const struct {
	const char *name;
	const struct cpu_isa *isa;        /* NULL: no fp32 */
	const struct pfw_kernels *bf16;
	int (*supported)(void);
	int prefer_own;
} isas[] = {
	{ "generic", &cpu_generic_isa, &cpu_generic_bf16_kernels, always, 0 },
#ifdef __x86_64__
	{ "avx2", &cpu_avx2_isa, &cpu_avx2_bf16_kernels, has_avx2, 0 },
	{ "avx512", &cpu_avx512_isa, &cpu_avx512_bf16_kernels, has_avx512, 1 },
#endif
#ifdef HAVE_AMX
	{ "amx", NULL, &cpu_amx_kernels, has_amx, 1 },
#endif
};

static int choose_isa(uint32_t dtype, size_t *out, struct pfw_error *err)
{
	const char *want = getenv("PIPEFW_CPU");
	size_t n = sizeof(isas) / sizeof(isas[0]);

	for (size_t i = n; i-- > 0;) {
		if (want && *want && strcmp(want, isas[i].name))
			continue;
		if ((dtype == PFW_BF16 || isas[i].isa) &&
		    isas[i].supported()) {
			*out = i;
			return 0;
		}
		if (want && *want && !isas[i].isa && dtype != PFW_BF16)
			return pfw_error_set(err, ENOTSUP,
				"PIPEFW_CPU=%s: only computes in bf16; set "
				"device.dtype to \"bf16\", or unset it",
				want);
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
	char words[64] = "bf16 products summed in fp32";
	size_t i = 0;
	int blas = 0, r;

	if (info->dtype != PFW_F32 && info->dtype != PFW_BF16)
		return pfw_error_set(err, ENOTSUP,
				     "the cpu device computes in fp32 or bf16");
	r = choose_isa(info->dtype, &i, err);
	if (!r && info->dtype == PFW_F32)
		r = choose_blas(isas[i].prefer_own, &blas, words,
				sizeof(words), err);
	if (r)
		return r;
	if (info->dtype == PFW_BF16)
		*kernels = isas[i].bf16;
	else
		*kernels = blas ? &isas[i].isa->blas : &isas[i].isa->own;
	snprintf(path, path_len, "%s, %s", isas[i].name, words);
	return 0;
}
