/*
 * elf.h: is an open file a whole shared object for this machine?
 */
#ifndef PFW_CORE_ELF_H
#define PFW_CORE_ELF_H

#include <pipefw/base.h>

/**
 * dlopen() of a file that was cut off maps pages that are not there and the
 * process dies by SIGBUS; so what the headers promise is compared with the
 * file's size first.  @p path is for the sentence alone.
 */
int pfw_elf_check(int fd, uint64_t size, const char *path,
		  struct pfw_error *err);

#endif
