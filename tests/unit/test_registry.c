#include "unit.h"

#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "plugin/loader.h"
#include "plugin/registry.h"

#define PROBES "tests/plugins/.libs"

static char folder[] = "/tmp/pipefw-registry-XXXXXX";

static char *in_folder(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

/* The first @p len bytes of the good probe, under a plugin's name. */
static char *image;
static size_t image_len;

static void put(const char *name, size_t len)
{
	char *path = in_folder(name);

	unlink(path);
	CU_ASSERT_EQUAL(pfw_file_create(path, image, len, NULL), 0);
	CU_ASSERT_EQUAL(chmod(path, 0755), 0);
}

/* get() in one line; the sentence in @p text, "" for success. */
static const struct pfw_loaded *get(const char *dirs, uint32_t kind,
				    const char *name, const char **text)
{
	static struct pfw_error err;
	static struct pfw_loaded copy;
	const struct pfw_loaded *loaded = NULL;
	struct pfw_registry *reg;

	memset(&err, 0, sizeof(err));
	*text = err.text;
	if (pfw_registry_open(dirs, &reg, &err))
		return NULL;
	if (!pfw_registry_get(reg, kind, name, &loaded, &err))
		copy = *loaded;
	pfw_registry_close(reg);
	return loaded ? &copy : NULL;
}

static void refused(const char *dirs, const char *name, const char *words)
{
	const char *text;

	CU_ASSERT_PTR_NULL(get(dirs, PFW_KIND_SCHEDULE, name, &text));
	if (!strstr(text, words))
		printf("\nhave: %s\nwant: %s\n", text, words);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, words));
	/* Begins with a path, or says where was looked. */
	CU_ASSERT(strstr(text, dirs) || strstr(text, PROBES) ||
		  strchr(name, '/') || strstr(text, "looked for"));
}

static void a_good_one(void)
{
	struct pfw_registry *reg;
	const struct pfw_loaded *a, *b;
	struct pfw_error err = { 0 };

	CU_ASSERT_EQUAL_FATAL(pfw_registry_open(PROBES, &reg, &err), 0);
	CU_ASSERT_EQUAL_FATAL(pfw_registry_get(reg, PFW_KIND_SCHEDULE, "good",
					       &a, &err), 0);
	CU_ASSERT_STRING_EQUAL(a->info.name, "good");
	CU_ASSERT_STRING_EQUAL(a->info.summary, "a probe");
	CU_ASSERT_EQUAL(a->ops.schedule.size, sizeof(a->ops.schedule));
	CU_ASSERT_PTR_NOT_NULL(a->ops.schedule.plan);
	CU_ASSERT_PTR_NOT_NULL(a->ops.schedule.describe);
	/* Its options are longer than ours: the stride is theirs. */
	CU_ASSERT_EQUAL(a->info.n_options, 2);
	CU_ASSERT_STRING_EQUAL(a->info.options[1].name, "speed");
	CU_ASSERT_EQUAL(pfw_registry_get(reg, PFW_KIND_SCHEDULE, "good", &b,
					 &err), 0);
	CU_ASSERT_PTR_EQUAL(a, b);
	CU_ASSERT_EQUAL(pfw_registry_get(reg, PFW_KIND_SCHEDULE, PROBES
					 "/pipefw-good-schedule.so", &b, &err),
			0);
	CU_ASSERT_PTR_EQUAL(a, b);
	pfw_registry_close(reg);
}

static void other_ages(void)
{
	const char *text;
	const struct pfw_loaded *l;

	l = get(PROBES, PFW_KIND_SCHEDULE, "older", &text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_PTR_NOT_NULL(l->ops.schedule.plan);
	CU_ASSERT_PTR_NULL(l->ops.schedule.describe);
	l = get(PROBES, PFW_KIND_SCHEDULE, "newer", &text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_PTR_NOT_NULL(l->ops.schedule.describe);
}

static void wrong_ones(void)
{
	refused(PROBES, "abi", "plugin ABI is 999, this pipefw has 1");
	refused(PROBES, "misnamed", "calls itself \"other\", not \"misnamed\"");
	refused(PROBES, "noplan", "schedule has no plan()");
	refused(PROBES, "nosymbol", "no symbol pfw_plugin");
	refused(PROBES, "undefined", "pfw_probe_nowhere");
}

static void missing(void)
{
	const char *text;

	refused(PROBES, "goof", "did you mean \"good\"?");
	refused("/nowhere:/else", "good", "in /nowhere, /else; \"pipefw "
		"list\"");
	refused("/nowhere:/else", "good", "no schedule \"good\", nor any other "
		"schedule; looked for pipefw-good-schedule.so in");
	CU_ASSERT_PTR_NULL(get(PROBES, PFW_KIND_SCHEDULE, "Good", &text));
	CU_ASSERT_STRING_EQUAL(text, "\"Good\" is no name of a schedule: it is "
			       "of a-z, 0-9 and -, or a path with a slash; \"pipefw "
			       "list\" shows what there is");
	CU_ASSERT_PTR_NULL(get(PROBES, PFW_KIND_SCHEDULE, "", &text));
	refused(PROBES, "./libpipefw.so", "must be called pipefw-NAME-schedule");
	refused(PROBES, "/nowhere/pipefw-x-schedule.so", "No such file");
}

static void two_of_a_name(void)
{
	const struct pfw_loaded *l;
	struct pfw_error err = { 0 };
	struct pfw_registry *reg;

	put("pipefw-good-schedule.so", image_len);
	CU_ASSERT_EQUAL_FATAL(pfw_registry_open(PROBES, &reg, &err), 0);
	CU_ASSERT_EQUAL(pfw_registry_get(reg, PFW_KIND_SCHEDULE, "good", &l,
					 &err), 0);
	CU_ASSERT_EQUAL(pfw_registry_get(reg, PFW_KIND_SCHEDULE,
					 in_folder("pipefw-good-schedule.so"),
					 &l, &err), -EEXIST);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "is already loaded from"));
	pfw_registry_close(reg);
	unlink(in_folder("pipefw-good-schedule.so"));
}

static void not_plugins(void)
{
	char *path = in_folder("pipefw-x-schedule.so");
	static const char text[] = "int main(void) { return 0; } /* a text that "
				   "is longer than an ELF header is */";

	CU_ASSERT_EQUAL(pfw_file_create(path, text, sizeof(text), NULL), 0);
	refused(folder, "x", "no ELF header");
	CU_ASSERT_EQUAL(truncate(path, 3), 0);
	refused(folder, "x", "not a shared object (3 bytes)");
	unlink(path);
	CU_ASSERT_EQUAL(mkfifo(path, 0600), 0);
	refused(folder, "x", "not a regular file");
	unlink(path);
	CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
	refused(folder, "x", "not a regular file");
	rmdir(path);
	CU_ASSERT_EQUAL(symlink("/nowhere", path), 0);
	refused(folder, "x", "No such file");
	unlink(path);
	put("pipefw-x-schedule.so", image_len);
	/* e_machine: bytes 18 and 19, whatever the byte order. */
	image[18] ^= 0x55;
	put("pipefw-x-schedule.so", image_len);
	image[18] ^= 0x55;
	refused(folder, "x", "built for another machine");
	unlink(path);
}

static void links_are_followed(void)
{
	char real[4096];
	const char *text;

	CU_ASSERT_PTR_NOT_NULL_FATAL(realpath(PROBES "/pipefw-good-schedule.so",
					      real));
	CU_ASSERT_EQUAL(symlink(real, in_folder("pipefw-good-schedule.so")), 0);
	CU_ASSERT_PTR_NOT_NULL(get(folder, PFW_KIND_SCHEDULE, "good", &text));
	unlink(in_folder("pipefw-good-schedule.so"));
}

static void others_may_write(void)
{
	char *path = in_folder("pipefw-x-schedule.so");

	put("pipefw-x-schedule.so", image_len);
	CU_ASSERT_EQUAL(chmod(path, 0757), 0);
	refused(folder, "x", "others may write to it; chmod go-w");
	CU_ASSERT_EQUAL(chmod(path, 0775), 0);
	if (!chown(path, (uid_t)-1, geteuid() + 1))
		refused(folder, "x", "others may write to it; chmod go-w");
	CU_ASSERT_EQUAL(chmod(path, 0755), 0);
	CU_ASSERT_EQUAL(chmod(folder, 0777), 0);
	refused(folder, "x", "others may write to its folder");
	CU_ASSERT_EQUAL(chmod(folder, 0700), 0);
	if (!chown(path, 12345, (gid_t)-1)) {
		refused(folder, "x", "belongs to user 12345");
		CU_ASSERT_EQUAL(chown(path, 0, 0), 0);
		/* A folder that others may rename in, and that is not ours. */
		CU_ASSERT_EQUAL(chown(folder, 12345, (gid_t)-1), 0);
		CU_ASSERT_EQUAL(chmod(folder, 0777), 0);
		refused(folder, "x", "others may write to its folder");
		CU_ASSERT_EQUAL(chmod(folder, 0700), 0);
		CU_ASSERT_EQUAL(chown(folder, 0, (gid_t)-1), 0);
	}
	unlink(path);
}

/* In the area of the headers every 64 bytes, further on in coarse steps, and
 * one byte less than the whole: never loaded, never a signal. */
static void cut_off_everywhere(void)
{
	const char *text;
	size_t cuts = 0;

	for (size_t len = 0; len < image_len;
	     len += len < 1024 ? 64 : 509, cuts++) {
		put("pipefw-good-schedule.so", len);
		CU_ASSERT_PTR_NULL(get(folder, PFW_KIND_SCHEDULE, "good",
				       &text));
	}
	put("pipefw-good-schedule.so", image_len - 1);
	refused(folder, "good", "cut off");
	CU_ASSERT(cuts > 16);
	put("pipefw-good-schedule.so", image_len);
	CU_ASSERT_PTR_NOT_NULL(get(folder, PFW_KIND_SCHEDULE, "good", &text));
	unlink(in_folder("pipefw-good-schedule.so"));
}

/* Stripped of section headers, only its segments tell that it is cut off. */
static void cut_off_without_sections(void)
{
	ElfW(Ehdr) whole, stripped;
	ElfW(Phdr) segment;
	size_t end = 0;

	memcpy(&whole, image, sizeof(whole));
	stripped = whole;
	stripped.e_shoff = 0;
	stripped.e_shnum = stripped.e_shstrndx = 0;
	memcpy(image, &stripped, sizeof(stripped));
	for (unsigned i = 0; i < whole.e_phnum; i++) {
		memcpy(&segment, image + whole.e_phoff + i * sizeof(segment),
		       sizeof(segment));
		if (segment.p_offset + segment.p_filesz > end)
			end = segment.p_offset + segment.p_filesz;
	}
	for (size_t len = 1024; len < end; len += end / 16) {
		put("pipefw-good-schedule.so", len);
		refused(folder, "good", "cut off: a segment");
	}
	memcpy(image, &whole, sizeof(whole));
	unlink(in_folder("pipefw-good-schedule.so"));
}

/* What only the descriptor can be wrong in needs no file. */
static int plan(const struct pfw_shape *shape, const struct pfw_values *opt,
		uint32_t rank, struct pfw_plan *list, struct pfw_error *err)
{
	(void)shape;
	(void)opt;
	(void)rank;
	(void)list;
	(void)err;
	return 0;
}

static const struct pfw_schedule_ops ops = { .size = sizeof(ops),
					     .plan = plan };

static struct pfw_plugin descriptor(void)
{
	struct pfw_plugin p = {
		.abi = PFW_ABI,
		.struct_size = sizeof(p),
		.option_size = sizeof(struct pfw_option),
		.kind = PFW_KIND_SCHEDULE,
		.thread_model = PFW_THREAD_PARALLEL,
		.name = "x",
		.version = "1",
		.summary = "s",
		.ops = &ops,
	};

	return p;
}

static void copied(const struct pfw_plugin *p, uint32_t kind, const char *words)
{
	struct pfw_loaded *l = calloc(1, sizeof(*l));
	struct pfw_error err = { 0 };
	int rc = pfw_descriptor_copy(p, "/a.so", kind, "x", l, &err);

	CU_ASSERT_EQUAL(rc, -err.code);
	if (!strstr(err.text, words) || (!*words && rc))
		printf("\nhave: %s\nwant: %s\n", err.text, words);
	CU_ASSERT(*words ? rc && !strncmp(err.text, "/a.so: ", 7) : !rc);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, words));
	pfw_plugin_unload(l);
}

static void wrong_descriptors(void)
{
	static const struct pfw_schedule_ops small = { .size = 4 };
	static const struct pfw_stage_ops stage = { .size = sizeof(stage) };
	static const struct pfw_device_ops device = { .size = sizeof(device) };
	struct pfw_plugin p = descriptor(), q;

	copied(&p, PFW_KIND_SCHEDULE, "");
	copied(&p, PFW_KIND_STAGE, "calls itself a schedule");
	q = p, q.struct_size = 40;
	copied(&q, PFW_KIND_SCHEDULE, "cut short: 40 bytes");
	q = p, q.abi = 2, q.name = (char *)1;
	copied(&q, PFW_KIND_SCHEDULE, "plugin ABI is 2, this pipefw has 1");
	q = p, q.kind = 77;
	copied(&q, PFW_KIND_SCHEDULE, "unknown kind 77");
	q = p, q.thread_model = 0;
	copied(&q, PFW_KIND_SCHEDULE, "unknown thread model 0");
	q = p, q.name = NULL;
	copied(&q, PFW_KIND_SCHEDULE, "calls itself \"\"");
	q = p, q.summary = NULL;
	copied(&q, PFW_KIND_SCHEDULE, "has no summary");
	q = p, q.version = NULL;
	copied(&q, PFW_KIND_SCHEDULE, "has no version");
	q = p, q.ops = NULL;
	copied(&q, PFW_KIND_SCHEDULE, "no ops");
	q = p, q.ops = &small;
	copied(&q, PFW_KIND_SCHEDULE, "have 4 bytes");
	q = p, q.kind = PFW_KIND_STAGE, q.ops = &stage;
	copied(&q, PFW_KIND_STAGE, "stage has no open()");
	q = p, q.kind = PFW_KIND_DEVICE, q.ops = &device;
	copied(&q, PFW_KIND_DEVICE, "device has no open()");
}

static void option_refused(struct pfw_option o, uint32_t kind,
			   const char *words)
{
	struct pfw_plugin p = descriptor();
	struct pfw_option two[2] = { o, o };

	p.options = two;
	p.n_options = strcmp(words, "is there twice") ? 1 : 2;
	copied(&p, kind, words);
}

static void wrong_options(void)
{
	const struct pfw_option good = { "a", PFW_OPT_INT, 0, "1", "help", NULL,
					 0, 5 };
	struct pfw_option o;
	struct pfw_plugin p = descriptor();

	option_refused(good, PFW_KIND_SCHEDULE, "");
	option_refused(good, PFW_KIND_SCHEDULE, "is there twice");
	o = good, o.name = "A";
	option_refused(o, PFW_KIND_SCHEDULE, "called \"A\"");
	o = good, o.name = NULL;
	option_refused(o, PFW_KIND_SCHEDULE, "called \"\"");
	o = good, o.name = "name";
	option_refused(o, PFW_KIND_SCHEDULE, "may be called \"name\"");
	o = good, o.type = 9;
	option_refused(o, PFW_KIND_SCHEDULE, "unknown type 9");
	o = good, o.help = NULL;
	option_refused(o, PFW_KIND_SCHEDULE, "no help");
	o = good, o.def = "x";
	option_refused(o, PFW_KIND_SCHEDULE,
		       "the default of a must be an integer from 0 to 5");
	o = good, o.def = "7";
	option_refused(o, PFW_KIND_SCHEDULE, "found 7");
	o = good, o.min = 6;
	option_refused(o, PFW_KIND_SCHEDULE, "bounds 6 to 5");
	o = good, o.type = PFW_OPT_CHOICE;
	option_refused(o, PFW_KIND_SCHEDULE, "no choices");
	p.n_options = 1;
	copied(&p, PFW_KIND_SCHEDULE, "option table is NULL");
	p.options = &good, p.option_size = 8;
	copied(&p, PFW_KIND_SCHEDULE, "options of 8 bytes");
	p.option_size = sizeof(good), p.n_options = 100000;
	copied(&p, PFW_KIND_SCHEDULE, "100000 options");
}

static void lists(void)
{
	struct pfw_registry *reg;
	struct pfw_listed *list;
	struct pfw_error err = { 0 };
	size_t n;

	put("pipefw-good-schedule.so", image_len);
	put("pipefw-bad-transport.so", 100);
	put("pipefw-what-thing.so", 100);
	put("pipefw.so", 100);
	CU_ASSERT_EQUAL_FATAL(pfw_registry_open(folder, &reg, &err), 0);
	CU_ASSERT_EQUAL_FATAL(pfw_registry_list(reg, &list, &n, &err), 0);
	CU_ASSERT_EQUAL_FATAL(n, 3);
	CU_ASSERT_STRING_EQUAL(list[0].name, "what");
	CU_ASSERT_PTR_NOT_NULL(list[0].problem);
	CU_ASSERT_STRING_EQUAL(list[1].name, "good");
	CU_ASSERT_PTR_NOT_NULL(list[1].loaded);
	CU_ASSERT_PTR_NULL(list[1].problem);
	CU_ASSERT_STRING_EQUAL(list[2].name, "bad");
	CU_ASSERT_PTR_NOT_NULL(strstr(list[2].problem, "cut off"));
	pfw_listed_free(list, n);
	pfw_registry_close(reg);
	unlink(in_folder("pipefw-good-schedule.so"));
	unlink(in_folder("pipefw-bad-transport.so"));
	unlink(in_folder("pipefw-what-thing.so"));
	unlink(in_folder("pipefw.so"));
}

static const struct unit_test tests[] = {
	{ "a good plugin, by name and by path", a_good_one },
	{ "older and newer headers", other_ages },
	{ "wrong plugins are refused by text", wrong_ones },
	{ "a missing plugin: where, and what else", missing },
	{ "two files of one name", two_of_a_name },
	{ "files that are no plugins", not_plugins },
	{ "links are followed", links_are_followed },
	{ "files that others may write to", others_may_write },
	{ "cut off everywhere", cut_off_everywhere },
	{ "cut off, without section headers", cut_off_without_sections },
	{ "wrong descriptors", wrong_descriptors },
	{ "wrong option tables", wrong_options },
	{ "a listing says why not", lists },
};

int main(void)
{
	int rc = 99;

	if (mkdtemp(folder) &&
	    !pfw_file_load(PROBES "/pipefw-good-schedule.so", 1 << 24, &image,
			   &image_len, NULL))
		rc = unit_run("registry", tests,
			      sizeof(tests) / sizeof(tests[0]));
	rmdir(folder);
	free(image);
	return rc;
}
