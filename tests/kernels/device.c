/* Opens every device plugin in PIPEFW_PLUGIN_DIR on each of its paths. */
#include "kernels/kernels.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char suffix[] = "-device.so";

/* One of them; the even numbers of threads look for work before they sleep. */
static int open_with(struct path *p, uint32_t threads, void **device,
		     void **queue, struct pfw_error *err)
{
	struct pfw_device_info info = { .size = sizeof(info),
					.dtype = p->policy, .threads = threads,
					.spin_ns = threads % 2 ? 0 : 20000 };
	int r = p->ops->open(NULL, &info, device, &p->props, err);

	if (r)
		return r;
	if (p->ops->enter_thread)
		r = p->ops->enter_thread(*device, err);
	if (!r)
		r = p->ops->open_queue(*device, queue, err);
	if (r)
		p->ops->close(*device);
	return r;
}

static void close_one(struct path *p)
{
	for (uint32_t t = 2; t <= MOST_THREADS; t++) {
		if (!p->wide_queue[t])
			continue;
		p->ops->close_queue(p->wide_queue[t]);
		p->ops->close(p->wide_device[t]);
	}
	p->ops->close_queue(p->queue);
	p->ops->close(p->device);
}

static int open_one(struct path *p, const struct pfw_device_ops *ops,
		    uint32_t dtype, const char *name)
{
	struct pfw_error err = { 0 };
	int r;

	*p = (struct path){ .ops = ops, .policy = dtype };
	r = open_with(p, 1, &p->device, &p->queue, &err);
	if (r) {
		printf("left out: %s: %s\n", name, err.text);
		return 0;
	}
	for (uint32_t t = 2; !r && t <= MOST_THREADS; t++)
		r = open_with(p, t, &p->wide_device[t], &p->wide_queue[t],
			      &err);
	if (r) {
		printf("%s: %s\n", name, err.text);
		exit(99);
	}
	p->k = ops->kernels(p->device);
	snprintf(p->label, sizeof(p->label), "%s %s: %s", name,
		 pfw_dtype_name(dtype), p->props.path);
	return 1;
}

/* Equal words, equal bits: once is enough. */
static int met(const struct path *first, const struct path *p)
{
	for (; first < p; first++)
		if (first->ops == p->ops && first->policy == p->policy &&
		    !strcmp(first->props.path, p->props.path))
			return 1;
	return 0;
}

/* Adds to the @p n paths that there are; gives their new number. */
static size_t open_types(struct path *paths, size_t n, size_t max,
			 const struct pfw_device_ops *ops, const char *name)
{
	for (uint32_t dtype = PFW_F32; dtype <= PFW_BF16 && n < max; dtype++) {
		if (!open_one(paths + n, ops, dtype, name))
			continue;
		if (met(paths, paths + n))
			close_one(paths + n);
		else
			n++;
	}
	return n;
}

/* The cpu device is forced onto each path, unless the caller did that. */
static size_t open_cpu(struct path *paths, size_t n, size_t max,
		       const struct pfw_device_ops *ops)
{
	static const char *const isas[] = { "generic", "avx2", "avx512",
					    "amx" };
	static const char *const blas[] = { "none", "openblas" };
	char name[64];

	if (getenv("PIPEFW_CPU") || getenv("PIPEFW_BLAS"))
		return open_types(paths, n, max, ops, "cpu");
	for (size_t i = 0; i < 4; i++)
		for (size_t j = 0; j < 2; j++) {
			setenv("PIPEFW_CPU", isas[i], 1);
			setenv("PIPEFW_BLAS", blas[j], 1);
			snprintf(name, sizeof(name), "cpu/%s/%s", isas[i],
				 blas[j]);
			n = open_types(paths, n, max, ops, name);
		}
	unsetenv("PIPEFW_CPU");
	unsetenv("PIPEFW_BLAS");
	return n;
}

static size_t open_plugin(struct path *paths, size_t n, size_t max,
			  const char *file)
{
	void *so = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	const struct pfw_plugin *plugin = so ? dlsym(so, "pfw_plugin") : NULL;
	const struct pfw_device_ops *ops = plugin ? plugin->ops : NULL;
	char why[256] = "";

	if (!ops) {
		const char *fault = dlerror();

		printf("left out: %s: %s\n", file, fault ? fault : "empty");
		return n;
	}
	if (ops->probe && ops->probe(why, sizeof(why))) {
		printf("left out: %s: %s\n", plugin->name, why);
		return n;
	}
	if (!strcmp(plugin->name, "cpu"))
		return open_cpu(paths, n, max, ops);
	return open_types(paths, n, max, ops, plugin->name);
}

size_t paths_open(struct path *paths, size_t max)
{
	const char *dir = getenv("PIPEFW_PLUGIN_DIR");
	DIR *d = dir ? opendir(dir) : NULL;
	struct dirent *e;
	char file[4096];
	size_t n = 0, len;

	while (d && (e = readdir(d))) {
		len = strlen(e->d_name);
		if (len < sizeof(suffix) ||
		    strcmp(e->d_name + len - (sizeof(suffix) - 1), suffix))
			continue;
		snprintf(file, sizeof(file), "%s/%s", dir, e->d_name);
		n = open_plugin(paths, n, max, file);
	}
	if (d)
		closedir(d);
	return n;
}

void paths_close(struct path *paths, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close_one(paths + i);
}
