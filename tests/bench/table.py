#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""table.py RESULTS - from bench.sh's lines of JSON to Markdown

One table per MTU, a row per sender and number of channels; one of what --verify
takes, and one of xdpmig beside QEMU, where there are such runs.  Figures are medians
over the repetitions.  "of ceiling" and "of installing" compare with blast, without
and with --install, at the same number of channels.
"""
import json
import statistics
import sys

GIB = 1 << 30
ORDER = ["blast", "install", "xdpmig-insecure", "xdpmig", "xdpmig-staged", "xdpmig-encrypt",
         "xdpmig-verify", "qemu", "qemu-zero-copy"]
LABEL = {
    "blast": "AF_XDP, no protocol (ceiling)",
    "install": "AF_XDP, no protocol, pages installed",
    "xdpmig-insecure": "xdpmig, no keys",
    "xdpmig": "xdpmig",
    "xdpmig-staged": "xdpmig, `--lock-budget`",
    "xdpmig-encrypt": "xdpmig, encrypted",
    "xdpmig-verify": "xdpmig, verified",
    "qemu": "QEMU multifd",
    "qemu-zero-copy": "QEMU multifd, zero-copy-send",
}


def median(runs, field, per=None):
    values = [r[field] / (r[per] / GIB) if per else r[field]
              for r in runs if r.get(field) is not None]
    return statistics.median(values) if values else None


def text(value, form):
    return "-" if value is None else format(value, form)


def ratio(rate, others):
    """To the median rate of other runs, which may not have been made."""
    top = median(others, "gbit_per_s")
    return text(rate / top if top else None, ".2f")


def in_user_space(runs):
    """CPU seconds for a GiB, both sides together."""
    ms = median(runs, "user_cpu_ms", "bytes")
    return None if ms is None else ms / 1e3


def row(runs, ceiling, installing):
    rate = median(runs, "gbit_per_s")
    src, dst = median(runs, "src_cpu_ms", "bytes"), median(runs, "dst_cpu_ms", "bytes")
    vain = median(runs, "vain_percent")
    return "| " + " | ".join([
        LABEL[runs[0]["what"]], str(runs[0]["channels"]), text(rate, ".1f"),
        ratio(rate, ceiling), ratio(rate, installing),
        text(median(runs, "total_ms"), ".0f"),
        text(src / 1e3, ".2f"), text(dst / 1e3, ".2f"), text((src + dst) / 1e3, ".2f"),
        text(in_user_space(runs), ".2f"),
        text(median(runs, "src_syscalls", "bytes"), ".0f"),
        text(median(runs, "dst_syscalls", "bytes"), ".0f"),
        text(vain, ".2f") + (" %" if vain is not None else ""),
    ]) + " |"


def verify_rows(groups):
    """What hashing takes, which is in none of the columns but CPU's."""
    keys = sorted(k for k in groups if k[1] == "xdpmig-verify")
    if not keys:
        return
    print("\n| --verify | MTU | channels | downtime ms/GiB | source hashes ms/GiB "
          "| destination ms/GiB |")
    print("|---|" + "---:|" * 5)
    for key in keys:
        print(f"| | {key[0]} | {key[2]} | " + " | ".join(
            text(median(groups[key], field, "bytes"), ".0f")
            for field in ("verify_ms", "src_hash_ms", "dst_hash_ms")) + " |")


def together(runs):
    return median(runs, "src_cpu_ms", "bytes") + median(runs, "dst_cpu_ms", "bytes")


def against_qemu(groups):
    """Each of xdpmig's rows against the best of QEMU's in that figure."""
    compared = sorted(k for k in groups if k[1].startswith("xdpmig") and any(
        q[0] == k[0] and q[1].startswith("qemu") for q in groups))
    if not compared:
        return
    print("\n| xdpmig | MTU | channels | total time, of QEMU's best | CPU/GiB | in user space "
          "| QEMU's system calls/GiB, of ours: source | destination |")
    print("|---|" + "---:|" * 7)
    for key in compared:
        ours = groups[key]
        theirs = [runs for k, runs in groups.items()
                  if k[0] == key[0] and k[1].startswith("qemu")]

        def of_best(figure):
            best = min(v for v in map(figure, theirs) if v)
            return text(figure(ours) / best, ".2f")

        def fewer(field):
            counted = [v for v in (median(r, field, "bytes") for r in theirs) if v]
            return text(min(counted) / median(ours, field, "bytes") if counted else None, ".1f")

        print(f"| {LABEL[key[1]]} | {key[0]} | {key[2]} | "
              + " | ".join([of_best(lambda r: median(r, "total_ms")), of_best(together),
                            of_best(in_user_space), fewer("src_syscalls"),
                            fewer("dst_syscalls")]) + " |")


def main(path):
    with open(path, encoding="utf-8") as f:
        runs = [json.loads(line) for line in f]
    groups = {}
    for r in runs:
        groups.setdefault((r["mtu"], r["what"], r["channels"]), []).append(r)
    for mtu in sorted({key[0] for key in groups}):
        print(f"\nMTU {mtu}\n")
        print("| | channels | Gbit/s | of ceiling | of installing | total ms "
              "| CPU s/GiB source | destination | together | in user space "
              "| system calls/GiB source | destination | lost or resent |")
        print("|---|" + "---:|" * 12)
        for what in ORDER:
            for key in sorted(k for k in groups if k[:2] == (mtu, what)):
                print(row(groups[key], *(groups.get((mtu, top, key[2]), [])
                                         for top in ("blast", "install"))))
    verify_rows(groups)
    against_qemu(groups)


if __name__ == "__main__":
    main(sys.argv[1])
