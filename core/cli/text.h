/*
 * text.h: plain text for people: wrapped lines, headings, wrong words.
 */
#ifndef PFW_CORE_TEXT_H
#define PFW_CORE_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** Prints @p text from column @p indent on (the caller is there already),
 *  broken at blanks before column 79, and ends the line. */
void pfw_text_wrap(FILE *to, unsigned indent, const char *text);

/** Columns of the terminal @p fd; COLUMNS instead, if set; 80 where neither
 *  tells. */
uint32_t pfw_text_columns(int fd);

/** "2.13 TFLOP/s": three digits. */
void pfw_text_flops(double flops, char *buf, size_t len);

/** A heading line, bold on a terminal unless NO_COLOR is set. */
void pfw_text_heading(FILE *to, const char *text);

/**
 * "pipefw COMMAND: unknown WHAT "WORD"; did you mean "x"?" and the way to the
 * help, on standard error; gives PFW_EXIT_CONFIG.
 */
int pfw_text_unknown(const char *command, const char *what, const char *word,
		     const char *const *words, size_t n);

/** "12.3 MiB": at most 9 characters. */
void pfw_text_size(uint64_t bytes, char *buf, size_t len);

#endif
