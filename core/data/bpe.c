#include "data/bpe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "data/bpe_impl.h"

/** A part of the piece being merged; parts make a list from left to right. */
struct part {
	int32_t id; /**< < 0: merged into the one before */
	uint32_t before, after; /**< PFW_NONE: the end */
};

/** A merge that could be done, unless its parts have changed since. */
struct candidate {
	uint32_t rank, at; /**< at: the left part */
	int32_t left, right, merged;
};

struct work {
	struct part *parts;
	struct candidate *heap; /**< least rank first, then the leftmost */
	size_t n, room;
};

static int is_before(const struct candidate *a, const struct candidate *b)
{
	return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void push(struct work *w, const struct candidate *c)
{
	size_t i = w->n++;

	for (; i && is_before(c, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = *c;
}

static struct candidate pop(struct work *w)
{
	struct candidate top = w->heap[0], last = w->heap[--w->n];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < w->n &&
		    is_before(&w->heap[child + 1], &w->heap[child]))
			child++;
		if (child >= w->n || !is_before(&w->heap[child], &last))
			break;
		w->heap[i] = w->heap[child];
		i = child;
	}
	w->heap[i] = last;
	return top;
}

/** The part at @p at and the next: a candidate where they merge. */
static void consider(const struct pfw_bpe *bpe, struct work *w, uint32_t at)
{
	const struct pfw_bpe_merge *merge;
	uint32_t after;

	if (at == PFW_NONE || w->parts[at].after == PFW_NONE)
		return;
	after = w->parts[at].after;
	merge = pfw_bpe_find(bpe, w->parts[at].id, w->parts[after].id);
	if (merge)
		push(w, &(struct candidate){ merge->rank, at, merge->left,
					     merge->right, merge->merged });
}

static void apply(const struct pfw_bpe *bpe, struct work *w,
		  const struct candidate *c)
{
	struct part *left = &w->parts[c->at], *right;

	if (left->id != c->left || left->after == PFW_NONE)
		return;
	right = &w->parts[left->after];
	if (right->id != c->right)
		return;
	left->id = c->merged;
	left->after = right->after;
	right->id = -1;
	if (left->after != PFW_NONE)
		w->parts[left->after].before = c->at;
	consider(bpe, w, left->before);
	consider(bpe, w, c->at);
}

/** Room for a piece of @p len bytes: each merge brings two candidates at most. */
static int make_room(struct work *w, size_t len, struct pfw_error *err)
{
	if (len <= w->room)
		return 0;
	free(w->parts);
	free(w->heap);
	w->room = 0;
	w->parts = NULL;
	w->heap = NULL;
	if (len < PFW_NONE) {
		w->parts = calloc(len, sizeof(*w->parts));
		w->heap = calloc(len, 3 * sizeof(*w->heap));
	}
	if (!w->parts || !w->heap)
		return pfw_error_set(err, ENOMEM,
				     "no memory for a word of %zu bytes", len);
	w->room = len;
	return 0;
}

/** Tokens of a piece, at most @p len; gives their number or -errno. */
static int64_t merge_piece(const struct pfw_bpe *bpe, struct work *w,
			   const char *piece, size_t len, int32_t *out,
			   struct pfw_error *err)
{
	int64_t n = 0;
	int rc = make_room(w, len, err);

	if (rc)
		return rc;
	for (uint32_t i = 0; i < len; i++)
		w->parts[i] = (struct part){
			.id = bpe->byte_ids[(unsigned char)piece[i]],
			.before = i ? i - 1 : PFW_NONE,
			.after = i + 1 < len ? i + 1 : PFW_NONE,
		};
	for (uint32_t i = 0; i < len; i++)
		consider(bpe, w, i);
	while (w->n) {
		struct candidate c = pop(w);

		apply(bpe, w, &c);
	}
	for (uint32_t i = 0; i != PFW_NONE; i = w->parts[i].after)
		out[n++] = w->parts[i].id;
	return n;
}

int pfw_bpe_encode(const struct pfw_bpe *bpe, const char *text, size_t len,
		   int32_t **out, size_t *n, struct pfw_error *err)
{
	struct work w = { 0 };
	int32_t *tokens = NULL;
	size_t count = 0;
	int64_t got = 0;

	if (len < SIZE_MAX / sizeof(*tokens))
		tokens = malloc((len + !len) * sizeof(*tokens));
	if (!tokens)
		return pfw_error_set(err, ENOMEM, "no memory for %zu tokens", len);
	for (size_t at = 0; at < len && got >= 0;) {
		size_t piece = pfw_bpe_piece(text + at, len - at);

		got = merge_piece(bpe, &w, text + at, piece, tokens + count, err);
		at += piece;
		count += got > 0 ? (size_t)got : 0;
	}
	free(w.parts);
	free(w.heap);
	if (got < 0) {
		free(tokens);
		return (int)got;
	}
	*out = tokens;
	*n = count;
	return 0;
}

uint32_t pfw_bpe_vocab(const struct pfw_bpe *bpe)
{
	return bpe->vocab;
}

const char *pfw_bpe_token(const struct pfw_bpe *bpe, int32_t token, size_t *len)
{
	if (token < 0 || (uint32_t)token >= bpe->vocab)
		return NULL;
	*len = bpe->starts[token + 1] - bpe->starts[token];
	return bpe->bytes + bpe->starts[token];
}
