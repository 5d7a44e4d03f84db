/*
 * pipefw/json.h: a strict JSON reader (RFC 8259), for texts that nobody vouches
 * for; and strings as JSON writes them.
 *
 * Refused besides what the RFC refuses: names that come twice in an object,
 * nesting beyond 64 levels, invalid UTF-8, lone surrogates, U+0000 in a string
 * (it would cut the string short in C), anything after the value.  Memory is
 * at most about 20 times the text, and grows only with what has been read.
 */
#ifndef PIPEFW_JSON_H
#define PIPEFW_JSON_H

#include <pipefw/base.h>
#include <stdio.h>

PFW_BEGIN_DECLS

#define PFW_JSON_NONE 0u /**< of a NULL value: no such member */
#define PFW_JSON_NULL 1u
#define PFW_JSON_BOOL 2u
#define PFW_JSON_NUMBER 3u
#define PFW_JSON_STRING 4u
#define PFW_JSON_ARRAY 5u
#define PFW_JSON_OBJECT 6u

/** A text read whole; its values live as long as it does. */
struct pfw_json_doc;
/** One value.  All calls that ask about a value take NULL: no value. */
struct pfw_json;

/** @p text need not outlive the call.  Sentences begin with "line L, column C:". */
PFW_API int pfw_json_parse(const char *text, size_t len,
			   struct pfw_json_doc **out, struct pfw_error *err);
PFW_API void pfw_json_free(struct pfw_json_doc *doc);
PFW_API const struct pfw_json *pfw_json_root(const struct pfw_json_doc *doc);

PFW_API uint32_t pfw_json_kind(const struct pfw_json *v);
/** "an object", "nothing", ...: for "... is a string, not a number". */
PFW_API const char *pfw_json_kind_text(const struct pfw_json *v);
/** The line it begins in, from 1. */
PFW_API uint32_t pfw_json_line(const struct pfw_json *v);
/** Members of an object, items of an array, bytes of a string; else 0. */
PFW_API size_t pfw_json_count(const struct pfw_json *v);

/** A string's characters, a number as it was written; else NULL. */
PFW_API const char *pfw_json_text(const struct pfw_json *v);
/** NULL: not a string. */
PFW_API const char *pfw_json_string(const struct pfw_json *v);
/**
 * Whole numbers, written without point and exponent.  -EINVAL: something else
 * (or negative, for u64); -ERANGE: does not fit.
 */
PFW_API int pfw_json_u64(const struct pfw_json *v, uint64_t *out);
PFW_API int pfw_json_i64(const struct pfw_json *v, int64_t *out);
/** Any number; -ERANGE: beyond a double.  Wants LC_NUMERIC "C". */
PFW_API int pfw_json_double(const struct pfw_json *v, double *out);
PFW_API int pfw_json_bool(const struct pfw_json *v, int *out);

/** The member of this name; NULL: none, or @p v is no object. */
PFW_API const struct pfw_json *pfw_json_get(const struct pfw_json *v,
					    const char *name);
/**
 * Items and members in the order of the text:
 * `for (m = pfw_json_first(v); m; m = pfw_json_next(v, m))`.
 */
PFW_API const struct pfw_json *pfw_json_first(const struct pfw_json *v);
PFW_API const struct pfw_json *pfw_json_next(const struct pfw_json *v,
					     const struct pfw_json *child);
/** The name of a member got from first() or next() on an object, or get(). */
PFW_API const char *pfw_json_name(const struct pfw_json *member);

/**
 * @p text as a JSON string, with its quotes.  Control characters are escaped,
 * bytes that are not UTF-8 become U+FFFD.  Gives the length it takes; writes
 * at most @p size bytes, the last a NUL (cut short where that is too few).
 */
PFW_API size_t pfw_json_quote(const char *text, char *buf, size_t size);
/** The same to a stream. */
PFW_API void pfw_json_print(FILE *to, const char *text);

PFW_END_DECLS

#endif
