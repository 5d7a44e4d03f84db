/*
 * rtc LIBNVRTC: the capabilities that it knows.
 * rtc LIBNVRTC SOURCE PTX OPTION...: compiles a .cu, as nvcc would its device part.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#define MOST_SOURCE ((size_t)1 << 20)

struct nvrtc {
	int (*count)(int *n);
	int (*archs)(int *list);
	int (*create)(void **program, const char *text, const char *name,
		      int headers, const char *const *texts,
		      const char *const *names);
	int (*compile)(void *program, int n, const char *const *options);
	int (*log_size)(void *program, size_t *bytes);
	int (*log)(void *program, char *out);
	int (*ptx_size)(void *program, size_t *bytes);
	int (*ptx)(void *program, char *out);
};

static int load(const char *path, struct nvrtc *out)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const struct {
		const char *name;
		void *at;
	} calls[] = {
		{ "nvrtcGetNumSupportedArchs", &out->count },
		{ "nvrtcGetSupportedArchs", &out->archs },
		{ "nvrtcCreateProgram", &out->create },
		{ "nvrtcCompileProgram", &out->compile },
		{ "nvrtcGetProgramLogSize", &out->log_size },
		{ "nvrtcGetProgramLog", &out->log },
		{ "nvrtcGetPTXSize", &out->ptx_size },
		{ "nvrtcGetPTX", &out->ptx },
	};

	for (size_t i = 0; library && i < sizeof(calls) / sizeof(*calls); i++) {
		*(void **)calls[i].at = dlsym(library, calls[i].name);
		if (!*(void **)calls[i].at)
			library = NULL;
	}
	if (!library)
		fprintf(stderr, "rtc: %s\n", dlerror());
	return library ? 0 : -1;
}

static int list(const struct nvrtc *rtc)
{
	int archs[256], n;

	if (rtc->count(&n) || n > 256 || rtc->archs(archs))
		return 1;
	for (int i = 0; i < n; i++)
		printf("compute_%d\n", archs[i]);
	return 0;
}

static int compile(const struct nvrtc *rtc, const char *text, char **argv, int n)
{
	size_t bytes = 0;
	void *program;
	char *out;
	FILE *file;
	int rc = rtc->create(&program, text, argv[0], 0, NULL, NULL);

	if (rc)
		return 1;
	rc = rtc->compile(program, n, (const char *const *)argv + 2);
	(rc ? rtc->log_size : rtc->ptx_size)(program, &bytes);
	out = malloc(bytes + 1);
	if (!out || (rc ? rtc->log : rtc->ptx)(program, out))
		return 1;
	file = rc ? stderr : fopen(argv[1], "w");
	if (!file || fputs(out, file) < 0 || (file != stderr && fclose(file)))
		rc = 1;
	free(out);
	return rc != 0;
}

int main(int argc, char **argv)
{
	static char text[MOST_SOURCE];
	struct nvrtc rtc;
	FILE *file;
	size_t n;

	if (argc < 2 || argc == 3 || load(argv[1], &rtc))
		return 2;
	if (argc == 2)
		return list(&rtc);
	file = fopen(argv[2], "r");
	if (!file)
		return 2;
	n = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[n] = '\0';
	return compile(&rtc, text, argv + 2, argc - 4);
}
