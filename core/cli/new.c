/* pipefw new: a plugin to begin with, in a folder of its own. */
#include "cli/cli.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/templates.h"
#include "cli/text.h"
#include "plugin/registry.h"

static const char help[] =
	"usage: pipefw new schedule|transport|stage NAME DIR\n\n"
	"Writes a small project into the new folder DIR: a plugin called NAME that\n"
	"works, with a Makefile that builds it outside of pipefw's tree, and a\n"
	"README.  NAME is of a-z, 0-9 and -.\n";

/* What is written, and where. */
struct project {
	const char *kind, *name, *dir;
	char build[PATH_MAX]; /* "" for a pipefw that is installed */
	char made[PATH_MAX];  /* the folder under the name it has until all
				 is there */
};

/* What stands for something else at @p at, and its length; NULL: nothing. */
static const char *stands_for(const struct project *p, const char *at,
			      size_t *len)
{
	const struct {
		const char *word, *value;
	} words[] = {
		{ "example", p->name },
		{ "@kind@", p->kind },
		{ "@build@", p->build },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		*len = strlen(words[i].word);
		if (!strncmp(at, words[i].word, *len))
			return words[i].value;
	}
	return NULL;
}

/* The caller frees it; NULL: no memory. */
static char *filled(const struct project *p, const char *text, size_t *n)
{
	char *out = NULL;
	FILE *to = open_memstream(&out, n);
	const char *value;
	size_t len;

	if (!to)
		return NULL;
	while (*text) {
		value = stands_for(p, text, &len);
		if (value)
			fputs(value, to);
		else
			fputc(*text, to);
		text += value ? len : 1;
	}
	if (!fclose(to))
		return out;
	free(out);
	return NULL;
}

static int write_file(const struct project *p, const struct pfw_template *t,
		      struct pfw_error *err)
{
	size_t n_name, n_text = 0;
	char *name = filled(p, t->file, &n_name);
	char *text = filled(p, t->text, &n_text);
	char path[PATH_MAX];
	int rc;

	if (!name || !text)
		rc = pfw_error_set(err, ENOMEM, "no memory for %s", t->file);
	else
		rc = pfw_path_join(path, sizeof(path), p->made, name, err);
	if (!rc)
		rc = pfw_file_create(path, text, n_text, err);
	free(name);
	free(text);
	return rc;
}

static int is_for(const struct pfw_template *t, const char *kind)
{
	return !*t->kind || !strcmp(t->kind, kind);
}

/* Takes back what has been written so far. */
static void remove_made(const struct project *p)
{
	char path[PATH_MAX];
	size_t n;

	for (size_t i = 0; i < pfw_n_templates; i++) {
		char *name = is_for(&pfw_templates[i], p->kind) ?
			filled(p, pfw_templates[i].file, &n) : NULL;

		if (name && !pfw_path_join(path, sizeof(path), p->made, name,
					   NULL))
			unlink(path);
		free(name);
	}
	rmdir(p->made);
}

/* mkdtemp() lets nobody else in; a project is a folder like any other. */
static int open_up(const struct project *p, struct pfw_error *err)
{
	mode_t mask = umask(0);

	umask(mask);
	if (!chmod(p->made, 0777 & ~mask))
		return 0;
	return pfw_error_set(err, errno, "%s: %s", p->made, strerror(errno));
}

/* Beside DIR under another name first: it is there whole or not at all. */
static int write_project(struct project *p, struct pfw_error *err)
{
	struct stat st;
	int rc = 0;

	if (!lstat(p->dir, &st))
		return pfw_error_set(err, EEXIST, "%s is there already: name a "
				     "folder that is not", p->dir);
	if (snprintf(p->made, sizeof(p->made), "%s.XXXXXX", p->dir) >=
	    (int)sizeof(p->made))
		return pfw_error_set(err, ENAMETOOLONG, "the path is too long");
	if (!mkdtemp(p->made))
		return pfw_error_set(err, errno, "%s cannot be made: %s", p->dir,
				     strerror(errno));
	for (size_t i = 0; !rc && i < pfw_n_templates; i++)
		if (is_for(&pfw_templates[i], p->kind))
			rc = write_file(p, &pfw_templates[i], err);
	if (!rc)
		rc = open_up(p, err);
	if (!rc)
		rc = pfw_file_rename(p->made, p->dir, err);
	if (rc)
		remove_made(p);
	return rc;
}

static int check_kind(const char *kind)
{
	static const char *const kinds[] = { "schedule", "transport", "stage" };

	for (size_t i = 0; i < 3; i++)
		if (!strcmp(kind, kinds[i]))
			return 0;
	return pfw_text_unknown("new", *kind == '-' ? "option" : "kind", kind,
				kinds, 3);
}

/* Ends of "a/b/" are no part of a name. */
static void trim(char *path)
{
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		path[--n] = '\0';
}

static int fail(int status, const char *text)
{
	fprintf(stderr, "pipefw new: %s\n", text);
	return status;
}

int pfw_cli_new(int argc, char **argv)
{
	struct project p = { 0 };
	struct pfw_error err = { 0 };
	int status, rc;

	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		fputs(help, stdout);
		return PFW_EXIT_OK;
	}
	status = argc > 1 ? check_kind(argv[1]) : 0;
	if (status)
		return status;
	if (argc != 4 || !*argv[3]) {
		fputs(help, stderr);
		return PFW_EXIT_CONFIG;
	}
	p.kind = argv[1];
	p.name = argv[2];
	p.dir = argv[3];
	trim(argv[3]);
	if (pfw_plugin_name_check(pfw_kind_from_name(p.kind), p.name, &err))
		return fail(PFW_EXIT_CONFIG, err.text);
	if (!pfw_build_dir(p.build, sizeof(p.build)))
		p.build[0] = '\0';
	rc = write_project(&p, &err);
	if (rc)
		return fail(rc == -EEXIST || rc == -ENOENT || rc == -EACCES ?
			    PFW_EXIT_CONFIG : PFW_EXIT_RESOURCES, err.text);
	printf("%s: the %s \"%s\"\n  make -C %s          builds it\n"
	       "  make -C %s check    holds it to its contract\n", p.dir, p.kind,
	       p.name, p.dir, p.dir);
	return PFW_EXIT_OK;
}
