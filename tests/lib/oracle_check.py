#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""oracle_check.py - is the memory of an oracle guest (oracle.s) right?

    oracle_check.py RAM-FILE PAGES

The guest must not run meanwhile.  Its writer walks upward, so from page to page
the byte may once, where the writer is, step down by one (mod 256).  Prints the
value it has come to; exit status 1 and what is wrong if it is anything else.
"""
import mmap
import sys

FIRST = 1 << 20
PAGE = 4096
SHOWN = 10


def check(values):
    """Where the bytes step, and those steps that must not be."""
    steps = [i for i in range(1, len(values)) if values[i] != values[i - 1]]
    bad = [i for i in steps if values[i] != (values[i - 1] - 1) % 256]
    return steps, bad


def main(path, pages):
    with open(path, "rb") as f:
        with mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as ram:
            end = FIRST + pages * PAGE
            if end > len(ram):
                sys.exit(f"{path}: too small for {pages} pages")
            values = ram[FIRST:end:PAGE]
    steps, bad = check(values)
    if bad or len(steps) > 1:
        for i in (bad or steps)[:SHOWN]:
            print(f"page {i}: {values[i]} after {values[i - 1]}")
        sys.exit(f"{path}: {len(steps)} steps, of which {len(bad)} are no step "
                 "down by one: pages are lost or old")
    if not any(values):
        sys.exit(f"{path}: nothing was ever written")
    print(f"{values[0]} at page {steps[0] if steps else 0} of {pages}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], int(sys.argv[2]))
