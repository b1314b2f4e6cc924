#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""instructions_table.py FOLDER MTU KEYS LEAST - from callgrind's counts to Markdown

For each of KEYS and each side FOLDER has MTU.KEY.SIDE.small and .large, .out by
callgrind (neither strings nor positions compressed) and .json by the program.
Functions with fewer than LEAST instructions a frame are added up.
"""
import collections
import json
import os
import re
import sys

SIDES = ["source", "target"]
TITLE = {"source": "source", "target": "destination"}
KEYS = {"none": "without keys", "tag": "with tags", "encrypt": "encrypted"}
GROUPS = ["pump", "protocol core", "driver", "tag, cipher", "payload", "rest"]
OURS = GROUPS[:3]


def group_of(obj, path, name):
    """Which group a function is in; None: of the played kernel."""
    part = re.search(r"userspace/(\w+)/(\w+)\.[ch]$", path)
    if re.search(r"lib(gnutls|nettle|hogweed|gmp)", obj):
        return "tag, cipher"
    if path.endswith("tests/bench/instructions.c"):
        return None
    if not part:
        return "rest"
    folder, stem = part.groups()
    if folder == "core" and stem in ("crc32c", "crc32c_x86", "zero"):
        return "payload"
    return {"core": "protocol core", "xsk": "driver", "cli": "pump",
            "ctl": "tag, cipher"}.get(folder, "rest")


def place_of_call(caller, callee):
    """Where the cost of a call goes, when not to the callee: the sum of a header is
    a tag, and the C library works for who calls it."""
    c_obj, c_path, c_name = callee
    _, path, name = caller
    group = group_of(*caller)
    if os.path.basename(path) == "frame.c" and c_name.startswith("xm_crc32c"):
        return "tag, cipher", "sum of the header"
    if "/libc" in c_obj and "/userspace/" in path:
        if path.endswith("pump_tx.c"):
            group = "payload"
        return group, f"{c_name.lstrip('_').split('_avx')[0]} for {name}"
    return None


def read(path):
    """Instructions by (group, function)."""
    cost = collections.Counter()
    inner = collections.Counter()  # what place_of_call() moves, by callee
    obj = file = called_obj = called_file = callee = name = ""
    is_call = False
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            key, _, value = line.rstrip("\n").partition("=")
            if key == "ob":
                obj = called_obj = value
            elif key == "fl":
                file = called_file = value
            elif key == "fn":
                name, called_file, called_obj = value, file, obj
            elif key == "cob":
                called_obj = value
            elif key in ("cfi", "cfl"):
                called_file = value
            elif key == "cfn":
                callee = value
            elif key == "calls":
                is_call = True
            elif re.match(r"[\d+*-]", line):
                n = int(line.split()[1])
                me = (obj, file, name)
                if not is_call:
                    cost[me] += n
                    continue
                other = (called_obj, called_file, callee)
                is_call = False
                to = place_of_call(me, other)
                if to:
                    cost[to] += n
                    inner[other] += n
                called_obj, called_file = obj, file
    return settle(cost, inner)


def settle(cost, inner):
    """Group what is left of each function when what was moved is taken off.  A
    callee's own callees are leaves of it here, so they are taken off together."""
    out = collections.Counter()
    moved_crc = sum(n for (_, _, name), n in inner.items() if name.startswith("xm_crc32c"))
    for who, n in cost.items():
        if len(who) == 2:  # moved here
            out[who] += n
            continue
        obj, path, name = who
        group = group_of(*who)
        if group is None or "/libc." in obj:
            continue  # played, or with who called it
        if name.startswith("0x"):
            name = "inside of " + os.path.basename(obj).split(".")[0]
        out[group, name] += n
    if moved_crc:
        out["payload", "less the sum of the header"] -= moved_crc
    return out


def per_frame(folder, mtu, key, side):
    at = os.path.join(folder, f"{mtu}.{key}.{side}")
    counts, data = [], []
    for size in ("small", "large"):
        counts.append(read(f"{at}.{size}.out"))
        with open(f"{at}.{size}.json", encoding="utf-8") as f:
            info = json.load(f)
        if info["resent"] or info["drops"]:
            sys.exit(f"{at}.{size}: frames were lost")
        data.append(info["data"])
    n = data[1] - data[0]
    return {k: (counts[1][k] - counts[0][k]) / n for k in counts[1]}, info["data_bytes"]


def main():
    folder, mtu, keys, least = sys.argv[1:]
    keys = keys.split(",")
    columns = {(k, s): per_frame(folder, mtu, k, s) for k in keys for s in SIDES}
    size = next(iter(columns.values()))[1]
    columns = {c: v[0] for c, v in columns.items()}
    # only line numbers tell whose file a function is of
    if not any(g in OURS and n >= 100 for c in columns.values() for (g, _), n in c.items()):
        sys.exit("instructions: the program has no debugging information: "
                 "meson setup -Ddebug=true")

    def row(title, value):
        print(f"| {title} | " + " | ".join(
            f"{value(columns[k, s]):.0f}" for k in keys for s in SIDES) + " |")

    print(f"\nInstructions for a DATA frame of {size} bytes, MTU {mtu}\n")
    print("| | | " + " | ".join(
        f"{TITLE[s]}, {KEYS[k]}" for k in keys for s in SIDES) + " |")
    print("|---|---|" + "---:|" * (len(keys) * 2))
    for group in GROUPS:
        row(f"**{group}** | ", lambda c: sum(n for (g, _), n in c.items() if g == group))
        names = {f for c in columns.values() for (g, f) in c if g == group}
        top = {f: max(abs(c.get((group, f), 0)) for c in columns.values()) for f in names}
        for name in sorted(names, key=lambda f: -top[f]):
            if top[name] >= float(least):
                row(f" | `{name}`", lambda c: c.get((group, name), 0))
    row("**pump, core and driver** | ",
        lambda c: sum(n for (g, _), n in c.items() if g in OURS))
    row("**the same, tag and cipher** | ",
        lambda c: sum(n for (g, _), n in c.items() if g in OURS + ["tag, cipher"]))
    row("**all** | ", lambda c: sum(c.values()))


main()
