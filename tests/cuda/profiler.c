/*
 * A profiler as NVTX finds one: writes the names of ranges, and a dot for each end,
 * into FAKE_PROFILE.PID.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <nvtx3/nvToolsExt.h>

static FILE *to;

static int push(const char *name)
{
	fprintf(to, "%s ", name);
	return 0;
}

static int pop(void)
{
	fputs(".\n", to);
	fflush(to);
	return 0;
}

int InitializeInjectionNvtx2(NvtxGetExportTableFunc_t get);

int InitializeInjectionNvtx2(NvtxGetExportTableFunc_t get)
{
	const NvtxExportTableCallbacks *table = get(NVTX_ETID_CALLBACKS);
	const char *name = getenv("FAKE_PROFILE");
	NvtxFunctionTable calls;
	unsigned int n;
	char path[4096];

	if (!name || !table || !table->GetModuleFunctionTable(
					NVTX_CB_MODULE_CORE, &calls, &n) ||
	    n <= NVTX_CBID_CORE_RangePop)
		return 0;
	snprintf(path, sizeof(path), "%s.%d", name, (int)getpid());
	to = fopen(path, "w");
	if (!to)
		return 0;
	*calls[NVTX_CBID_CORE_RangePushA] = (NvtxFunctionPointer)push;
	*calls[NVTX_CBID_CORE_RangePop] = (NvtxFunctionPointer)pop;
	return 1;
}
