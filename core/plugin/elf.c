#include "plugin/elf.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <link.h>
#include <string.h>

#include "base/file.h"

typedef ElfW(Ehdr) elf_header;
typedef ElfW(Phdr) elf_segment;

static int cut_off(const char *path, const char *what, struct pfw_error *err)
{
	return pfw_error_set(err, ENOEXEC, "%s: cut off: %s past the end of the "
			     "file; copy or build it anew", path, what);
}

/* [at, at + len) lies within the file. */
static int within(uint64_t at, uint64_t len, uint64_t size)
{
	return at <= size && len <= size - at;
}

/* This code's own header says which class, byte order and machine we are. */
static const elf_header *own_header(void)
{
	Dl_info info;

	if (!dladdr((void *)(uintptr_t)pfw_elf_check, &info))
		return NULL;
	return info.dli_fbase;
}

static int check_header(const elf_header *h, const char *path,
			struct pfw_error *err)
{
	const elf_header *own = own_header();

	if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0)
		return pfw_error_set(err, ENOEXEC, "%s: not a shared object (no "
				     "ELF header)", path);
	if (own && (h->e_ident[EI_CLASS] != own->e_ident[EI_CLASS] ||
		    h->e_ident[EI_DATA] != own->e_ident[EI_DATA] ||
		    h->e_machine != own->e_machine))
		return pfw_error_set(err, ENOEXEC, "%s: built for another "
				     "machine (ELF class %u, machine %u; this "
				     "pipefw has %u, %u)", path,
				     h->e_ident[EI_CLASS], h->e_machine,
				     own->e_ident[EI_CLASS], own->e_machine);
	if (h->e_type != ET_DYN)
		return pfw_error_set(err, ENOEXEC, "%s: not a shared object "
				     "(ELF type %u); link it with -shared", path,
				     h->e_type);
	if (h->e_phentsize != sizeof(elf_segment) || h->e_phnum == 0)
		return pfw_error_set(err, ENOEXEC, "%s: damaged: %u program "
				     "headers of %u bytes", path, h->e_phnum,
				     h->e_phentsize);
	return 0;
}

int pfw_elf_check(int fd, uint64_t size, const char *path,
		  struct pfw_error *err)
{
	elf_header h;
	elf_segment s;
	int rc;

	if (size < sizeof(h))
		return pfw_error_set(err, ENOEXEC, "%s: not a shared object (%"
				     PRIu64 " bytes)", path, size);
	rc = pfw_file_read(fd, path, &h, sizeof(h), 0, err);
	if (!rc)
		rc = check_header(&h, path, err);
	if (rc)
		return rc;
	if (!within(h.e_phoff, (uint64_t)h.e_phnum * sizeof(s), size))
		return cut_off(path, "program headers", err);
	/* They come last in a file: what misses a byte misses some of them. */
	if (!within(h.e_shoff, (uint64_t)h.e_shnum * h.e_shentsize, size))
		return cut_off(path, "section headers", err);
	for (unsigned i = 0; i < h.e_phnum; i++) {
		rc = pfw_file_read(fd, path, &s, sizeof(s),
				   h.e_phoff + i * sizeof(s), err);
		if (rc)
			return rc;
		if (s.p_type != PT_NULL && !within(s.p_offset, s.p_filesz, size))
			return cut_off(path, "a segment", err);
	}
	return 0;
}
