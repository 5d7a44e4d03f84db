/*
 * cuDNN's graphs of attention as far as the library goes where there is no card:
 * it takes them, finds engines that keep an order, compiles a kernel, and stops
 * where the driver would load it.  Other endings are a fault.
 */
#include <stdio.h>
#include <string.h>

#include "dnn.h"

#ifdef HAVE_CUDNN

/* An H200 as cuDNN describes one. */
static const char card[] =
	"{\"maxGridSize\":[2147483647,65535,65535],"
	"\"maxBlockSize\":[1024,1024,64],\"regsPerBlock\":65536,"
	"\"multiProcessorCount\":132,\"warpSize\":32,"
	"\"maxSharedMemoryPerBlock\":49152,"
	"\"maxSharedMemoryPerBlockOptin\":232448,"
	"\"reservedSharedMemoryPerBlock\":1024,\"maxRegistersPerSM\":65536,"
	"\"maxCtasPerSM\":32,\"maxThreadsPerBlock\":1024,"
	"\"maxThreadsPerSM\":2048,\"pciDeviceId\":0,\"isTccDriver\":0,"
	"\"supportCoopLaunch\":1,\"totalGlobalMem\":150754820096,"
	"\"smClockRateKHz\":1980000,\"memClockRateKHz\":3201000,"
	"\"l2CacheSize\":62914560,\"cudaDeviceId\":0,\"deviceVer\":900,"
	"\"driverVer\":13000,\"deviceName\":\"NVIDIA H200\"}";

/* Also an engine that wants more workspace than is planned is none. */
static int build(const struct cuda_dnn_lib *lib, uint32_t seq,
		 uint32_t head_size, uint32_t backward)
{
	struct cuda_dnn_plan plan = { .shape = { 8, seq, 12, head_size,
						 backward } };
	int rc = cuda_dnn_build(lib, NULL, card, &plan);

	if (rc && !strstr(plan.why, "cuLibraryLoadData"))
		printf("%u rows, heads of %u, %s: %s\n", seq, head_size,
		       backward ? "backward" : "forward", plan.why);
	else
		rc = 0;
	cuda_dnn_destroy(lib, &plan);
	return rc;
}

int main(void)
{
	struct cuda_dnn_lib lib;
	struct pfw_error err = { 0 };
	int rc = 0;

	if (cuda_dnn_load(&lib, &err)) {
		printf("skipped: %s\n", err.text);
		return 77;
	}
	printf("cuDNN %zu\n", lib.GetVersion());
	for (uint32_t backward = 0; backward < 2; backward++)
		rc |= build(&lib, 1024, 64, backward) |
		      build(&lib, 1024, 128, backward) |
		      build(&lib, 200, 64, backward);
	return rc != 0;
}

#else

int main(void)
{
	printf("skipped: no cudnn.h\n");
	return 77;
}

#endif
