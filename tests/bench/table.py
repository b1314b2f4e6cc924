#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""table.py RESULTS - from bench.sh's lines of JSON to Markdown

One table per MTU, a row per sender and number of channels.  Figures are medians
over the repetitions; "of ceiling" compares with blast at the same number of
channels.
"""
import json
import statistics
import sys

GIB = 1 << 30
ORDER = ["blast", "xdpmig", "qemu", "qemu-zero-copy"]
LABEL = {
    "blast": "AF_XDP, no protocol (ceiling)",
    "xdpmig": "xdpmig",
    "qemu": "QEMU multifd",
    "qemu-zero-copy": "QEMU multifd, zero-copy-send",
}


def median(runs, field, per=None):
    values = [r[field] / (r[per] / GIB) if per else r[field]
              for r in runs if r.get(field) is not None]
    return statistics.median(values) if values else None


def text(value, form):
    return "-" if value is None else format(value, form)


def row(what, channels, runs, ceiling):
    rate = median(runs, "gbit_per_s")
    src, dst = median(runs, "src_cpu_ms", "bytes"), median(runs, "dst_cpu_ms", "bytes")
    top = median(ceiling, "gbit_per_s") if ceiling else None
    resent = median(runs, "resent_percent")
    return "| " + " | ".join([
        LABEL[what], str(channels), text(rate, ".1f"),
        text(rate / top if top else None, ".2f"),
        text(src / 1e3, ".2f"), text(dst / 1e3, ".2f"), text((src + dst) / 1e3, ".2f"),
        text(median(runs, "src_syscalls", "bytes"), ".0f"),
        text(median(runs, "dst_syscalls", "bytes"), ".0f"),
        text(resent, ".2f") + (" %" if resent is not None else ""),
    ]) + " |"


def main(path):
    with open(path, encoding="utf-8") as f:
        runs = [json.loads(line) for line in f]
    groups = {}
    for r in runs:
        groups.setdefault((r["mtu"], r["what"], r["channels"]), []).append(r)
    for mtu in sorted({key[0] for key in groups}):
        print(f"\nMTU {mtu}\n")
        print("| | channels | Gbit/s | of ceiling | CPU s/GiB source | destination "
              "| together | system calls/GiB source | destination | resent |")
        print("|---|" + "---:|" * 9)
        for what in ORDER:
            for key in sorted(k for k in groups if k[:2] == (mtu, what)):
                print(row(what, key[2], groups[key], groups.get((mtu, "blast", key[2]))))


if __name__ == "__main__":
    main(sys.argv[1])
