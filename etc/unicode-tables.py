#!/usr/bin/env python3
"""Prints core/data/unicode_table.h from PyPI's unicodedata2, or Python's own data.

usage: python3 etc/unicode-tables.py > core/data/unicode_table.h
"""
import sys

try:
    import unicodedata2 as unicodedata
except ImportError:
    import unicodedata


def turns(category):
    """Code points at which membership in the category begins or ends."""
    out, inside = [], False
    for c in range(sys.maxunicode + 2):
        member = c <= sys.maxunicode and unicodedata.category(chr(c))[0] == category
        if member != inside:
            out.append(c)
            inside = member
    return out


def array(name, values):
    print("\nstatic const uint32_t %s[] = {" % name)
    for i in range(0, len(values), 8):
        print("\t" + " ".join("0x%x," % v for v in values[i:i + 8]))
    print("};")


print("/* Made by etc/unicode-tables.py from Unicode %s: from the first number on"
      % unicodedata.unidata_version)
print(" * a character is in the category, from the second on not, and so forth. */")
print("#ifndef PFW_CORE_UNICODE_TABLE_H\n#define PFW_CORE_UNICODE_TABLE_H\n\n"
      "#include <stdint.h>")
array("letter_turns", turns("L"))
array("number_turns", turns("N"))
print("\n#endif")
