/*
 * pipefw/base.h: what every other public header rests on.
 *
 * Conventions, once for the whole set of headers:
 *
 * - A function that can fail returns 0 or -errno (for data-plane calls
 *   -EAGAIN means "not now, nothing happened").  The first to find a fault
 *   writes the sentence into struct pfw_error; everybody above passes the code.
 * - The library never prints, never aborts and never exits.
 * - Outputs are the last arguments but for the error, and untouched on failure.
 * - Sizes are bytes unless the name says otherwise, times are nanoseconds,
 *   tensors are row-major and packed.
 * - A struct that crosses the plugin boundary begins with its own size; new
 *   members come at the end.
 */
#ifndef PIPEFW_BASE_H
#define PIPEFW_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define PFW_BEGIN_DECLS extern "C" {
#define PFW_END_DECLS }
#else
#define PFW_BEGIN_DECLS
#define PFW_END_DECLS
#endif

#if defined(__GNUC__)
#define PFW_API __attribute__((visibility("default")))
#define PFW_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define PFW_API
#define PFW_PRINTF(fmt, args)
#endif

PFW_BEGIN_DECLS

/** No such stage, channel, slot, ... */
#define PFW_NONE UINT32_MAX

/** A failure in words.  Owned by the caller, may be NULL everywhere. */
struct pfw_error {
	int code;        /**< positive errno, 0: nothing happened */
	char text[1024]; /**< one sentence, or a paragraph; no trailing newline */
};

/**
 * Writes the sentence and gives -@p code, so that a fault is one line:
 * `return pfw_error_set(err, EINVAL, "...")`.
 * Does nothing but return -@p code when @p err is NULL.
 */
PFW_API int pfw_error_set(struct pfw_error *err, int code, const char *fmt, ...)
	PFW_PRINTF(3, 4);

/** Puts words in front of the sentence already there ("FILE:3: ..."). */
PFW_API void pfw_error_prefix(struct pfw_error *err, const char *fmt, ...)
	PFW_PRINTF(2, 3);

/** Element types (uint32_t, never an enum in a struct). */
#define PFW_F32 0u
#define PFW_BF16 1u
#define PFW_I32 2u

/** Bytes of one element, 0 for an unknown type. */
PFW_API size_t pfw_dtype_bytes(uint32_t dtype);
/** "fp32", "bf16", "int32"; NULL for an unknown type. */
PFW_API const char *pfw_dtype_name(uint32_t dtype);

/** Kinds of memory, an OR of bits where a set is meant. */
#define PFW_MEM_HOST 1u
#define PFW_MEM_CUDA 2u

/** Everything the core hands out is aligned to this many bytes. */
#define PFW_ALIGN 64u

/** @p n rounded up to PFW_ALIGN. */
static inline size_t pfw_align_up(size_t n)
{
	return (n + PFW_ALIGN - 1) / PFW_ALIGN * PFW_ALIGN;
}

PFW_END_DECLS

#endif
