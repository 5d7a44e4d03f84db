/*
 * Reads a schedule in two passes over the text: the first checks the form and
 * learns the numbers, the second, with everything allocated by then, where
 * stages are and that nothing comes twice.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/quoted.h"
#include "schedule/csv.h"

#define MAX_FILE ((size_t)1 << 30)
#define MAX_NUMBER ((1u << 26) - 1)

struct cursor {
	const char *name, *at, *end;
	uint32_t line, cell, row; /* line and cell count from 1, row from 0 */
	struct pfw_error *err;
};

/* What the comments claim; PFW_NONE, 0: nothing. */
struct claims {
	uint32_t ranks, chunks, microbatches;
	uint64_t hash;
	int has_hash;
	const char *placement; /* in the text, up to the line's end */
	uint32_t line;         /* of the sizes */
};

/* What the first pass learns. */
struct extent {
	uint32_t rows, stages, microbatches;
	uint64_t actions;
};

struct reader {
	struct extent extent;
	struct claims claims;
	struct pfw_schedule_plan *plan; /* NULL in the first pass */
	unsigned char *seen;            /* [stages * m]: bit 1 << type */
	uint32_t *line_of;              /* [stages]: where it was placed */
};

static int refuse(const struct cursor *c, int code)
{
	pfw_error_prefix(c->err, "%s:%u:%u: ", c->name, c->line, c->cell);
	return -code;
}

/* The cell from @p from, short, for a sentence. */
static struct pfw_quoted cell_text(const struct cursor *c, const char *from)
{
	char text[48];
	size_t n = 0;

	while (n + 1 < sizeof(text) && from + n < c->end && from[n] != ',' &&
	       from[n] != '\n' && from[n] != '\r' && from[n])
		n++;
	memcpy(text, from, n);
	text[n] = '\0';
	return pfw_quote(text);
}

static int refuse_form(const struct cursor *c, const char *from)
{
	pfw_error_set(c->err, EINVAL, "%s is no action: write STAGE, F, B, I or "
		      "W, MICRO-BATCH as in \"3F7\", or a pair as in "
		      "\"(0F4;7B1)OVERLAP_F_B\"", cell_text(c, from).text);
	return refuse(c, EINVAL);
}

static void skip_blanks(struct cursor *c)
{
	while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' ||
				  *c->at == '\r'))
		c->at++;
}

/* Digits only; 0: none, or too large. */
static int take_number(struct cursor *c, uint32_t *out)
{
	const char *from = c->at;
	uint32_t n = 0;

	while (c->at < c->end && *c->at >= '0' && *c->at <= '9') {
		n = n * 10 + (uint32_t)(*c->at++ - '0');
		if (n > MAX_NUMBER)
			return 0;
	}
	*out = n;
	return c->at > from;
}

static int take_action(struct cursor *c, struct pfw_planned *out)
{
	static const char letters[] = "?FBIW";
	const char *from = c->at, *letter;

	if (!take_number(c, &out->stage) || c->at == c->end)
		return refuse_form(c, from);
	letter = *c->at && *c->at != '?' ? strchr(letters, *c->at) : NULL;
	c->at++;
	if (!letter || !take_number(c, &out->microbatch))
		return refuse_form(c, from);
	out->type = (uint32_t)(letter - letters);
	return 0;
}

static int take_word(struct cursor *c, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(c->end - c->at) < n || memcmp(c->at, word, n))
		return 0;
	c->at += n;
	return 1;
}

/*
 * A transfer or the like, which PyTorch's lowered files have: it says nothing
 * of the order of computations, and whoever runs the schedule places its own.
 */
static int take_placed(struct cursor *c)
{
	static const char *const words[] = {
		"SEND_F", "SEND_B", "RECV_F", "RECV_B", "WAIT_SEND_F",
		"WAIT_SEND_B", "UNSHARD", "RESHARD", "REDUCE_GRAD",
		"WAIT_REDUCE_GRAD",
	};
	struct cursor at = *c;
	uint32_t number;

	if (!take_number(&at, &number))
		return 0;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!take_word(&at, words[i]))
			continue;
		take_number(&at, &number);
		*c = at;
		return 1;
	}
	return 0;
}

/* One action, two that overlap, or none of ours; *n is how many. */
static int take_cell(struct cursor *c, struct pfw_planned items[2], size_t *n)
{
	const char *from = c->at;
	int rc = 0, pair = take_word(c, "(");

	*n = pair ? 2 : 1;
	if (!pair && take_placed(c))
		*n = 0;
	else
		rc = take_action(c, &items[0]);
	if (!rc && pair) {
		if (!take_word(c, ";"))
			return refuse_form(c, from);
		rc = take_action(c, &items[1]);
		if (!rc && !take_word(c, ")OVERLAP_F_B"))
			return refuse_form(c, from);
	}
	if (rc)
		return rc;
	skip_blanks(c);
	if (c->at < c->end && *c->at != ',' && *c->at != '\n')
		return refuse_form(c, from);
	return 0;
}

static void learn(struct reader *r, const struct pfw_planned *item)
{
	if (item->stage >= r->extent.stages)
		r->extent.stages = item->stage + 1;
	if (item->microbatch >= r->extent.microbatches)
		r->extent.microbatches = item->microbatch + 1;
	r->extent.actions++;
}

/* Second pass: the action's stage is here, and it comes for the first time. */
static int place(struct reader *r, struct cursor *c,
		 const struct pfw_planned *item)
{
	struct pfw_schedule_plan *plan = r->plan;
	size_t cell = (size_t)item->stage * plan->microbatches + item->microbatch;
	uint32_t *rank = &plan->rank_of[item->stage];
	unsigned char bit = (unsigned char)(1u << item->type);

	if (*rank == PFW_NONE) {
		*rank = c->row;
		r->line_of[item->stage] = c->line;
	}
	if (*rank != c->row) {
		pfw_error_set(c->err, EINVAL, "stage %u, but line %u has that "
			      "already: a stage is on one rank", item->stage,
			      r->line_of[item->stage]);
		return refuse(c, EINVAL);
	}
	if (r->seen[cell] & bit) {
		pfw_error_set(c->err, EINVAL, "%u%s%u comes twice", item->stage,
			      pfw_action_name(item->type), item->microbatch);
		return refuse(c, EINVAL);
	}
	r->seen[cell] |= bit;
	return 0;
}

static int visit(struct reader *r, struct cursor *c,
		 const struct pfw_planned *items, size_t n)
{
	struct pfw_plan *list;
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++) {
		if (r->plan)
			rc = place(r, c, &items[i]);
		else
			learn(r, &items[i]);
	}
	if (rc || !r->plan || !n)
		return rc;
	list = &r->plan->lists[c->row];
	if (n == 1)
		pfw_plan_add(list, items[0].type, items[0].stage,
			     items[0].microbatch);
	else
		pfw_plan_add_pair(list, items[0].type, items[0].stage,
				  items[0].microbatch, items[1].type,
				  items[1].stage, items[1].microbatch);
	if (list->failed)
		return pfw_error_set(c->err, list->failed, "no memory for the "
				     "schedule of %s", c->name);
	return 0;
}

/* Cells up to the end of the line; *n counts the actions. */
static int read_row(struct reader *r, struct cursor *c, uint64_t *n)
{
	struct pfw_planned items[2];
	size_t in_cell;
	int rc;

	*n = 0;
	for (c->cell = 1;; c->cell++) {
		skip_blanks(c);
		if (c->at < c->end && *c->at != ',' && *c->at != '\n') {
			rc = take_cell(c, items, &in_cell);
			if (!rc)
				rc = visit(r, c, items, in_cell);
			if (rc)
				return rc;
			*n += in_cell;
		}
		if (c->at == c->end || *c->at == '\n')
			return 0;
		c->at++;
	}
}

static const char *line_end(const struct cursor *c)
{
	const char *end = memchr(c->at, '\n', (size_t)(c->end - c->at));

	return end ? end : c->end;
}

/* "# ranks 4 chunks 1 microbatches 8": all three, or none. */
static void take_sizes(struct cursor c, struct claims *out)
{
	struct claims got = *out;

	got.line = c.line;
	if (take_word(&c, "# ranks ") && take_number(&c, &got.ranks) &&
	    take_word(&c, " chunks ") && take_number(&c, &got.chunks) &&
	    take_word(&c, " microbatches ") && take_number(&c, &got.microbatches))
		*out = got;
}

static void take_hash(struct cursor c, struct claims *out)
{
	uint64_t hash = 0;

	for (int i = 0; i < 16; i++, c.at++) {
		const char *digits = "0123456789abcdef", *digit;

		digit = c.at < c.end && *c.at ? strchr(digits, *c.at) : NULL;
		if (!digit)
			return;
		hash = hash << 4 | (uint64_t)(digit - digits);
	}
	out->hash = hash;
	out->has_hash = 1;
}

/* Lines that are not ours are comments and no more. */
static int read_comment(struct reader *r, struct cursor *c)
{
	struct cursor at = *c;
	uint32_t version;

	if (take_word(&at, "# pipefw schedule ") &&
	    (!take_number(&at, &version) || version != 1)) {
		pfw_error_set(c->err, EINVAL, "a schedule file of another "
			      "version; this pipefw reads \"pipefw schedule 1\"");
		c->cell = 1;
		return refuse(c, EINVAL);
	}
	at = *c;
	take_sizes(at, &r->claims);
	if (take_word(&at, "# hash "))
		take_hash(at, &r->claims);
	if (take_word(&at, "# placement "))
		r->claims.placement = at.at;
	c->at = line_end(c);
	return 0;
}

static int read_lines(struct reader *r, struct cursor *c)
{
	uint32_t blank = 0; /* first of the empty lines just before, or 0 */
	uint64_t n;
	int rc;

	c->row = 0;
	for (c->line = 1; c->at < c->end; c->line++) {
		if (*c->at == '#') {
			rc = read_comment(r, c);
		} else {
			rc = read_row(r, c, &n);
			if (!rc && n && blank) {
				c->line = blank;
				c->cell = 1;
				pfw_error_set(c->err, EINVAL, "an empty row: "
					      "every rank computes something");
				return refuse(c, EINVAL);
			}
			c->row += !rc && n;
			blank = n || blank ? blank : c->line;
		}
		if (rc)
			return rc;
		c->at += c->at < c->end;
	}
	r->extent.rows = c->row;
	return 0;
}

/* Sizes that follow from the first pass; nothing is allocated before. */
static int check_extent(const struct extent *e, const char *name,
			struct pfw_error *err)
{
	if (!e->rows)
		return pfw_error_set(err, EINVAL, "%s: no action in it", name);
	if ((uint64_t)e->stages * e->microbatches > e->actions)
		return pfw_error_set(err, EINVAL, "%s: stages up to %u and "
				     "micro-batches up to %u need %" PRIu64
				     " forwards, and there are %" PRIu64
				     " actions in all", name, e->stages - 1,
				     e->microbatches - 1,
				     (uint64_t)e->stages * e->microbatches,
				     e->actions);
	return 0;
}

static int check_placement(const struct reader *r, const struct cursor *c)
{
	struct cursor at = *c;
	uint32_t rank;

	at.at = r->claims.placement;
	for (uint32_t s = 0; s < r->plan->stages; s++) {
		skip_blanks(&at);
		if (!take_number(&at, &rank) || rank != r->plan->rank_of[s])
			return pfw_error_set(c->err, EINVAL, "%s: the header "
				"does not place stage %u on rank %u, where the "
				"rows have it", c->name, s,
				r->plan->rank_of[s]);
	}
	return 0;
}

static int check_claims(const struct reader *r, const struct cursor *c)
{
	const struct claims *claims = &r->claims;
	const struct pfw_schedule_plan *plan = r->plan;

	if (claims->ranks && (claims->ranks != plan->ranks ||
			      claims->chunks != plan->chunks ||
			      claims->microbatches != plan->microbatches))
		return pfw_error_set(c->err, EINVAL, "%s:%u: the header says p=%u "
			"v=%u m=%u, the rows are p=%u v=%u m=%u", c->name,
			claims->line, claims->ranks, claims->chunks,
			claims->microbatches, plan->ranks, plan->chunks, plan->microbatches);
	if (claims->placement && check_placement(r, c))
		return -EINVAL;
	if (claims->has_hash && claims->hash != pfw_schedule_plan_hash(plan))
		return pfw_error_set(c->err, EINVAL, "%s: the rows are not those "
			"the header's hash was made of: the file was changed; "
			"take the header away if that is meant", c->name);
	return 0;
}

static int check_stages(const struct reader *r, const char *name,
			struct pfw_error *err)
{
	uint32_t stages = r->extent.stages, rows = r->extent.rows;
	int rc;

	for (uint32_t s = 0; s < stages; s++)
		if (r->plan->rank_of[s] == PFW_NONE)
			return pfw_error_set(err, EINVAL, "%s: no row has stage "
					     "%u, and there is a stage %u", name,
					     s, stages - 1);
	if (stages % rows)
		return pfw_error_set(err, EINVAL, "%s: %u stages on %u ranks; "
				     "every rank must hold equally many", name,
				     stages, rows);
	rc = pfw_schedule_plan_number(r->plan, err);
	if (rc)
		pfw_error_prefix(err, "%s: ", name);
	return rc;
}

/* Second pass, into a plan of the right size. */
static int read_plan(struct reader *r, struct cursor *c)
{
	const struct extent *e = &r->extent;
	uint32_t chunks = e->stages / e->rows + (e->stages % e->rows > 0);
	int rc = pfw_schedule_plan_new(e->rows, chunks, e->microbatches,
				       &r->plan, c->err);

	if (rc)
		return rc;
	memset(r->plan->rank_of, 0xff,
	       r->plan->stages * sizeof(*r->plan->rank_of));
	r->seen = calloc((size_t)e->stages * e->microbatches, 1);
	r->line_of = calloc(e->stages, sizeof(*r->line_of));
	if (!r->seen || !r->line_of)
		rc = pfw_error_set(c->err, ENOMEM, "no memory for the schedule "
				   "of %s", c->name);
	if (!rc)
		rc = read_lines(r, c);
	if (!rc)
		rc = check_stages(r, c->name, c->err);
	if (!rc)
		rc = check_claims(r, c);
	free(r->line_of);
	free(r->seen);
	return rc;
}

int pfw_csv_parse(const char *name, const char *text, size_t len,
		  struct pfw_schedule_plan **out, struct pfw_error *err)
{
	/* What spreadsheets put in front of UTF-8. */
	size_t mark = len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0;
	struct cursor first = {
		.name = name, .at = text + mark, .end = text + len, .err = err,
	};
	struct cursor second = first;
	struct reader r = { .plan = NULL };
	int rc;

	rc = read_lines(&r, &first);
	if (!rc)
		rc = check_extent(&r.extent, name, err);
	if (!rc)
		rc = read_plan(&r, &second);
	if (rc) {
		pfw_schedule_plan_free(r.plan);
		return rc;
	}
	*out = r.plan;
	return 0;
}

int pfw_csv_read(const char *path, struct pfw_schedule_plan **out,
		 struct pfw_error *err)
{
	char *text;
	size_t len;
	int rc = pfw_file_load(path, MAX_FILE, &text, &len, err);

	if (rc)
		return rc;
	rc = pfw_csv_parse(path, text, len, out, err);
	free(text);
	return rc;
}
