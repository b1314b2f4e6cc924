#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""live_table.py RESULTS - from live.sh's lines of JSON to Markdown

One table per MTU, a row per rate and mover.  Figures are medians over the
repetitions; times and CPU of those that completed.
"""
import json
import sys

sys.dont_write_bytecode = True
from table import LABEL, median, text  # noqa: E402

ORDER = ["xdpmig", "qemu", "qemu-zero-copy"]
MIB = 1 << 20

HEAD = ["guest writes", "", "total", "runs there after", "downtime", "guest saw", "epochs",
        "sent", "guest's work", "CPU per work", "longest stall", "movers' CPU source",
        "destination", "together", ""]


def percent(value):
    return text(value and 100 * value, ".0f") + (" %" if value is not None else "")


def ms(value):
    return text(value, ".0f") + (" ms" if value is not None else "")


def row(runs):
    limit = [r for r in runs if r["status"] == "time limit"]
    lost = [r for r in runs if r["status"] in ("guest lost", "memory wrong")]
    done = [r for r in runs if r not in limit]
    shown = done or limit
    src, dst = median(done, "src_cpu_ms"), median(done, "dst_cpu_ms")
    notes = [f"{len(x)} of {len(runs)} {why}" for x, why in
             ((limit, "did not converge"), (lost, "lost the guest")) if x]
    return "| " + " | ".join([
        f"{runs[0]['rate']} MB/s", LABEL[runs[0]["what"]],
        ms(median(shown, "total_ms")), ms(median(done, "moved_ms")),
        ms(median(done, "own_downtime_ms")), ms(median(done, "gap_ms")),
        text(median(shown, "epochs"), ".0f"),
        f"{median(shown, 'link_bytes') / MIB:.0f} MiB",
        percent(median(shown, "work_ratio")), percent(median(shown, "cost_ratio")),
        ms(median(shown, "longest_gap_ms")), ms(src), ms(dst),
        ms(src + dst if done else None), ", ".join(notes),
    ]) + " |"


def harvests(r):
    print(f"\nHarvests of {r['bytes'] / MIB:.0f} MiB, by {r['log']}\n")
    print("| per GiB | log begins | harvest, nothing written | every 64th page | all pages "
          "| log ends |")
    print("|---|" + "---:|" * 5)
    print("| ms | " + " | ".join(f"{r[k + '_us_per_gib'] / 1e3:.2f}" for k in (
        "open", "clean", "sparse", "dirty", "close")) + " |")
    print("\n| a page's first write | without a log | after a harvest | one page in 64 "
          "| after the log's end |")
    print("|---|" + "---:|" * 4)
    print("| ns | " + " | ".join(f"{r['touch_' + k + '_ns_per_page']:.0f}" for k in (
        "plain", "logged", "sparse", "after")) + " |")


def main(path):
    with open(path, encoding="utf-8") as f:
        runs = [json.loads(line) for line in f]
    groups = {}
    for r in runs:
        if r["what"] != "harvest":
            groups.setdefault((r["mtu"], r["rate"], r["what"]), []).append(r)
    for mtu in sorted({key[0] for key in groups}):
        print(f"\nMTU {mtu}\n")
        print("| " + " | ".join(HEAD) + " |")
        print("|---|---|" + "---:|" * (len(HEAD) - 2))
        for rate in sorted({key[1] for key in groups if key[0] == mtu}):
            for what in ORDER:
                if (mtu, rate, what) in groups:
                    print(row(groups[mtu, rate, what]))
    for r in runs:
        if r["what"] == "harvest":
            harvests(r)


if __name__ == "__main__":
    main(sys.argv[1])
