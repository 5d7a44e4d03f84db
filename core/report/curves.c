/* The loss, from events.jsonl. */
#include <errno.h>
#include <limits.h>
#include <pipefw/json.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "report/report.h"

#define EVENTS_MAX (1u << 30)

static void take_event(struct pfw_report *r, const struct pfw_json *event)
{
	const char *name = pfw_json_string(pfw_json_get(event, "event"));
	struct pfw_report_point p;

	if (!name ||
	    pfw_json_u64(pfw_json_get(event, "step"), &p.step) ||
	    pfw_json_double(pfw_json_get(event, "loss"), &p.value))
		return;
	if (!strcmp(name, "step"))
		r->losses[r->n_losses++] = p;
	else if (!strcmp(name, "eval"))
		r->valid[r->n_valid++] = p;
}

static size_t count_lines(const char *text)
{
	size_t n = 1;

	for (; (text = strchr(text, '\n')); text++)
		n++;
	return n;
}

int pfw_report_curves(struct pfw_report *r, struct pfw_error *err)
{
	char path[PATH_MAX], *text, *next;
	size_t len, n;
	int rc = pfw_path_join(path, sizeof(path), r->dir, "events.jsonl", err);

	if (!rc)
		rc = pfw_file_load(path, EVENTS_MAX, &text, &len, err);
	if (rc)
		return rc;
	n = count_lines(text);
	r->losses = calloc(n, sizeof(*r->losses));
	r->valid = calloc(n, sizeof(*r->valid));
	if (!r->losses || !r->valid)
		rc = pfw_error_set(err, ENOMEM, "%s: out of memory", path);
	for (char *line = text; !rc && *line; line = next) {
		struct pfw_json_doc *doc;

		next = line + strcspn(line, "\n");
		if (!pfw_json_parse(line, (size_t)(next - line), &doc, NULL)) {
			take_event(r, pfw_json_root(doc));
			pfw_json_free(doc);
		}
		next += *next == '\n';
	}
	free(text);
	return rc;
}
