#include "plugin/registry.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/nearest.h"
#include "plugin/loader.h"

/* One loaded plugin; the list is short and rarely walked. */
struct entry {
	struct entry *next;
	struct pfw_loaded *loaded;
};

struct pfw_registry {
	char *dirs;  /* "A:B" with each ':' made a NUL */
	size_t n_dirs;
	char *words; /* "A, B" */
	struct entry *entries;
};

/* Libtool keeps a program that is not installed yet in .libs, its plugins beside
 * it; an installed one is never in a folder of that name. */
int pfw_build_dir(char *buf, size_t len)
{
	ssize_t n = readlink("/proc/self/exe", buf, len - 1);
	char *end;

	if (n < 0)
		return 0;
	buf[n] = '\0';
	end = strrchr(buf, '/');
	if (!end || end - buf < 6 || memcmp(end - 6, "/.libs", 6))
		return 0;
	end[-6] = '\0';
	return 1;
}

static char *default_dirs(void)
{
	const char *dirs = secure_getenv("PIPEFW_PLUGIN_DIR");
	char built[PATH_MAX];

	if (dirs && *dirs)
		return strdup(dirs);
	/* There is room for what was cut off. */
	if (pfw_build_dir(built, sizeof(built)))
		return strdup(strcat(built, "/.libs"));
	return strdup(PFW_PLUGIN_PATH);
}

/* "A, B" from "A:B". */
static char *list_in_words(const char *dirs)
{
	char *words = malloc(2 * strlen(dirs) + 1), *to = words;

	for (; words && *dirs; dirs++) {
		*to++ = *dirs == ':' ? ',' : *dirs;
		if (*dirs == ':')
			*to++ = ' ';
	}
	if (words)
		*to = '\0';
	return words;
}

int pfw_registry_open(const char *dirs, struct pfw_registry **out,
		      struct pfw_error *err)
{
	struct pfw_registry *reg = calloc(1, sizeof(*reg));

	if (reg) {
		reg->dirs = dirs ? strdup(dirs) : default_dirs();
		reg->words = reg->dirs ? list_in_words(reg->dirs) : NULL;
	}
	if (!reg || !reg->words) {
		pfw_registry_close(reg);
		return pfw_error_set(err, ENOMEM, "out of memory for plugins");
	}
	reg->n_dirs = 1;
	for (char *c = reg->dirs; *c; c++)
		if (*c == ':') {
			*c = '\0';
			reg->n_dirs++;
		}
	*out = reg;
	return 0;
}

void pfw_registry_close(struct pfw_registry *reg)
{
	struct entry *next;

	if (!reg)
		return;
	for (struct entry *e = reg->entries; e; e = next) {
		next = e->next;
		pfw_plugin_unload(e->loaded);
		free(e);
	}
	free(reg->dirs);
	free(reg->words);
	free(reg);
}

const char *pfw_registry_dirs(const struct pfw_registry *reg)
{
	return reg->words;
}

/* The folder after @p dir, the first for NULL; NULL after the last.  Empty ones
 * are passed over: they would mean the working directory. */
static const char *next_dir(const struct pfw_registry *reg, const char *dir)
{
	const char *end = reg->dirs;

	for (size_t i = 0; i < reg->n_dirs; i++)
		end += strlen(end) + 1;
	do {
		dir = dir ? dir + strlen(dir) + 1 : reg->dirs;
	} while (dir < end && !*dir);
	return dir < end ? dir : NULL;
}

static const struct pfw_loaded *find(const struct pfw_registry *reg,
				     uint32_t kind, const char *name)
{
	for (const struct entry *e = reg->entries; e; e = e->next)
		if (e->loaded->info.kind == kind &&
		    !strcmp(e->loaded->info.name, name))
			return e->loaded;
	return NULL;
}

/* Loads the file at @p path and keeps it. */
static int keep(struct pfw_registry *reg, const char *path, uint32_t kind,
		const char *name, const struct pfw_loaded **out,
		struct pfw_error *err)
{
	struct entry *e = calloc(1, sizeof(*e));
	int rc;

	if (!e)
		return pfw_error_set(err, ENOMEM, "%s: out of memory", path);
	rc = pfw_plugin_load(path, kind, name, &e->loaded, err);
	if (rc) {
		free(e);
		return rc;
	}
	e->next = reg->entries;
	reg->entries = e;
	*out = e->loaded;
	return 0;
}

static int get_by_path(struct pfw_registry *reg, uint32_t kind,
		       const char *path, const struct pfw_loaded **out,
		       struct pfw_error *err)
{
	const char *file = strrchr(path, '/') + 1;
	char name[PFW_PLUGIN_NAME_MAX], *real;
	const struct pfw_loaded *there;
	uint32_t its_kind;
	int same;

	if (pfw_plugin_file_name(file, &its_kind, name, sizeof(name)) ||
	    its_kind != kind)
		return pfw_error_set(err, EINVAL, "%s: a %s's file must be "
				     "called pipefw-NAME-%s.so", path,
				     pfw_kind_name(kind), pfw_kind_name(kind));
	there = find(reg, kind, name);
	if (!there)
		return keep(reg, path, kind, name, out, err);
	real = realpath(path, NULL);
	same = real && !strcmp(real, there->path);
	free(real);
	if (!same)
		return pfw_error_set(err, EEXIST, "%s: the %s \"%s\" is already "
				     "loaded from %s", path,
				     pfw_kind_name(kind), name, there->path);
	*out = there;
	return 0;
}

/* Calls back for each plugin file of a folder; stops at the first error. */
static int each_file(const char *dir,
		     int (*visit)(void *ctx, const char *dir, uint32_t kind,
				  const char *name, const char *file),
		     void *ctx)
{
	char name[PFW_PLUGIN_NAME_MAX];
	struct dirent *d;
	uint32_t kind;
	int rc = 0;
	DIR *stream;

	stream = opendir(dir);
	if (!stream)
		return 0;
	while (!rc && (d = readdir(stream)))
		if (!pfw_plugin_file_name(d->d_name, &kind, name, sizeof(name)))
			rc = visit(ctx, dir, kind, name, d->d_name);
	closedir(stream);
	return rc;
}

/* For "did you mean": the names of one kind. */
#define MOST_NAMES 64u

struct names {
	uint32_t kind;
	size_t n;
	char text[MOST_NAMES][PFW_PLUGIN_NAME_MAX];
};

static int add_name(void *ctx, const char *dir, uint32_t kind, const char *name,
		    const char *file)
{
	struct names *names = ctx;

	(void)dir;
	(void)file;
	if (kind == names->kind && names->n < MOST_NAMES)
		strcpy(names->text[names->n++], name);
	return 0;
}

static const char *nearest_plugin(const struct pfw_registry *reg,
				  const char *name, struct names *names)
{
	const char *words[MOST_NAMES];

	for (const char *d = next_dir(reg, NULL); d; d = next_dir(reg, d))
		each_file(d, add_name, names);
	for (size_t i = 0; i < names->n; i++)
		words[i] = names->text[i];
	return pfw_nearest(name, words, names->n);
}

/* "there is no schedule "1f1v"; did you mean "1f1b"? Looked for FILE in A, B;
 * "pipefw list" shows what there is" */
static int refuse_missing(const struct pfw_registry *reg, uint32_t kind,
			  const char *name, struct pfw_error *err)
{
	struct names names = { .kind = kind };
	const char *near = nearest_plugin(reg, name, &names);
	char hint[128] = "";

	if (near)
		snprintf(hint, sizeof(hint), "; did you mean \"%s\"? Looked",
			 near);
	else if (names.n == 0)
		snprintf(hint, sizeof(hint), ", nor any other %s; looked",
			 pfw_kind_name(kind));
	else
		strcpy(hint, "; looked");
	return pfw_error_set(err, ENOENT, "there is no %s \"%s\"%s for "
			     "pipefw-%s-%s.so in %.500s; \"pipefw list\" shows "
			     "what there is", pfw_kind_name(kind), name, hint,
			     name, pfw_kind_name(kind), reg->words);
}

static int get_by_name(struct pfw_registry *reg, uint32_t kind,
		       const char *name, const struct pfw_loaded **out,
		       struct pfw_error *err)
{
	char path[PATH_MAX];
	struct stat st;
	int n;

	for (const char *d = next_dir(reg, NULL); d; d = next_dir(reg, d)) {
		n = snprintf(path, sizeof(path), "%s/pipefw-%s-%s.so", d, name,
			     pfw_kind_name(kind));
		if (n >= (int)sizeof(path))
			continue;
		/* A link that leads nowhere is there, and is refused. */
		if (lstat(path, &st) && (errno == ENOENT || errno == ENOTDIR))
			continue;
		return keep(reg, path, kind, name, out, err);
	}
	return refuse_missing(reg, kind, name, err);
}

int pfw_plugin_name_check(uint32_t kind, const char *name,
			  struct pfw_error *err)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";

	if (*name && strspn(name, letters) == strlen(name) &&
	    strlen(name) < PFW_PLUGIN_NAME_MAX / 2)
		return 0;
	return pfw_error_set(err, EINVAL, "\"%.80s\" is no name of a %s: it is "
			     "of a-z, 0-9 and -, at most %u of them", name,
			     pfw_kind_name(kind), PFW_PLUGIN_NAME_MAX / 2 - 1);
}

int pfw_registry_get(struct pfw_registry *reg, uint32_t kind, const char *name,
		     const struct pfw_loaded **out, struct pfw_error *err)
{
	const struct pfw_loaded *there;

	if (strchr(name, '/'))
		return get_by_path(reg, kind, name, out, err);
	if (pfw_plugin_name_check(kind, name, NULL))
		return pfw_error_set(err, EINVAL, "\"%.80s\" is no name of a %s: "
				     "it is of a-z, 0-9 and -, or a path with a "
				     "slash; \"pipefw list\" shows what there is",
				     name, pfw_kind_name(kind));
	there = find(reg, kind, name);
	if (!there)
		return get_by_name(reg, kind, name, out, err);
	*out = there;
	return 0;
}

/* A listing that grows. */
struct listing {
	struct pfw_registry *reg;
	struct pfw_listed *items;
	size_t n, room;
};

static int is_listed(const struct listing *l, uint32_t kind, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->items[i].kind == kind && !strcmp(l->items[i].name, name))
			return 1;
	return 0;
}

static int grow(struct listing *l)
{
	size_t room = l->room ? 2 * l->room : 32;
	struct pfw_listed *more;

	if (l->n < l->room)
		return 0;
	more = realloc(l->items, room * sizeof(*more));
	if (!more)
		return -ENOMEM;
	l->items = more;
	l->room = room;
	return 0;
}

static int add_item(void *ctx, const char *dir, uint32_t kind, const char *name,
		    const char *file)
{
	struct listing *l = ctx;
	struct pfw_listed item = { .kind = kind };
	struct pfw_error why = { 0 };

	/* Of two with one name the first found is the one that get() takes. */
	if (kind && is_listed(l, kind, name))
		return 0;
	if (grow(l) || asprintf(&item.path, "%s/%s", dir, file) < 0)
		return -ENOMEM;
	item.name = strdup(name);
	if (!kind)
		item.problem = strdup("its file's name ends in no kind of "
				      "plugin that this pipefw knows");
	else if (!(item.loaded = find(l->reg, kind, name)) &&
		 keep(l->reg, item.path, kind, name, &item.loaded, &why))
		item.problem = strdup(why.text);
	if (!item.name || (!item.loaded && !item.problem)) {
		free(item.problem);
		free(item.name);
		free(item.path);
		return -ENOMEM;
	}
	l->items[l->n++] = item;
	return 0;
}

static int by_kind_and_name(const void *a, const void *b)
{
	const struct pfw_listed *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return strcmp(x->name, y->name);
}

int pfw_registry_list(struct pfw_registry *reg, struct pfw_listed **out,
		      size_t *n, struct pfw_error *err)
{
	struct listing l = { .reg = reg };

	for (const char *d = next_dir(reg, NULL); d; d = next_dir(reg, d))
		if (each_file(d, add_item, &l)) {
			pfw_listed_free(l.items, l.n);
			return pfw_error_set(err, ENOMEM, "out of memory for "
					     "the list of plugins");
		}
	if (l.n)
		qsort(l.items, l.n, sizeof(*l.items), by_kind_and_name);
	*out = l.items;
	*n = l.n;
	return 0;
}

void pfw_listed_free(struct pfw_listed *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(list[i].name);
		free(list[i].path);
		free(list[i].problem);
	}
	free(list);
}
