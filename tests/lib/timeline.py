#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""timeline.py - draw a live migration, for people

    timeline.py [--ascii] [--colour] epochs SEND
    timeline.py [--ascii] [--colour] clock SEND STAMPS SRC DST
    timeline.py [--ascii] [--colour] downtime SEND STAMPS SRC DST
    timeline.py [--ascii] [--colour] channels SEND
    timeline.py [--ascii] [--colour] figures SEND RECV SEND RECV

SEND and RECV are what 'xdpmig send --json' and 'xdpmig recv --json' printed,
STAMPS is SEND with the host's time before each line (stamp.c), SRC and DST are
the stamped consoles of the guest at both hosts (live.sh).

  epochs    a line each: what was sent, and what the guest wrote meanwhile
  clock     all of it on one axis, above the guest's heartbeats
  downtime  the time in which the guest stood still, its parts to scale
  channels  what each carried
  figures   of two migrations, side by side

No line is longer than 98 columns.
"""
import json
import re
import sys

MIB = 1 << 20
PAGE = 4096
PARTS = (("pause", "downtime_pause_ms"), ("harvest", "downtime_harvest_ms"),
         ("send", "downtime_send_ms"), ("ack", "downtime_ack_ms"),
         ("held", "held_ms"), ("verify", "downtime_verify_ms"),
         ("device", "downtime_device_ms"),
         ("commit", "downtime_commit_ms"))
LEFT = 18   # columns of a chart's labels
CHART = 78  # columns of a chart
ASCII = "--ascii" in sys.argv
COLOUR = "--colour" in sys.argv


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOUR and text else text


def bar(value, most, width):
    """A bar that is seen whenever there is anything, and never too long."""
    eighths = round(8 * width * value / most) if most else 0
    eighths = min(max(eighths, 1 if value else 0), 8 * width)
    if ASCII:
        return "#" * -(-eighths // 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def painted(value, most, width, code="36"):
    text = bar(value, most, width)
    return paint(code, text) + " " * (width - len(text))


def objects(path):
    with open(path) as f:
        return [json.loads(line) for line in f if line.endswith("}\n")]


def epochs_of(path):
    return [o for o in objects(path) if o["event"] == "epoch"]


def result_of(path):
    return objects(path)[-1]


def mib(n):
    return f"{n / MIB:.1f} MiB"


# -- the host's clock, in ms ----------------------------------------------------

class Clock:
    """When the guest ran, was copied, stood still and beat."""

    def __init__(self, send, stamps, src, dst):
        self.result = result_of(send)
        self.epochs = []  # (number, begin, end, downtime expected then)
        for line in open(stamps):
            at, text = line.split(" ", 1)
            if text.startswith('{"event":"epoch"'):
                o = json.loads(text)
                end = float(at) - (0 if o["final"] else o["harvest_ms"])
                self.epochs.append((o["epoch"], end - o["ms"], end,
                                    o["expected_downtime_ms"]))
        before = ("downtime_pause_ms", "downtime_harvest_ms",
                  "downtime_send_ms", "downtime_ack_ms")
        self.stopped = self.epochs[-1][2] - sum(self.result[k] for k in before)
        self.runs = self.stopped + self.result["downtime_ms"]
        self.src = self.beats(src, 0)
        self.dst = self.beats(dst, self.src[-1][0])

    @staticmethod
    def beats(path, after):
        """(host's time, guest's time) of each."""
        found = (re.match(r"([0-9.]+) beat \d+ t=(\d+) ", line)
                 for line in open(path))
        found = [(float(m[1]), int(m[2])) for m in found if m]
        return [beat for beat in found if beat[0] > after]

    def usual_gap(self):
        gaps = sorted(b[0] - a[0] for a, b in zip(self.src, self.src[1:]))
        return gaps[len(gaps) // 2]


class Chart:
    """Rows on one axis of time, from @begin to @end."""

    def __init__(self, begin, end, zero, unit):
        self.begin, self.end, self.zero, self.unit = begin, end, zero, unit

    def column(self, at):
        part = (at - self.begin) / (self.end - self.begin)
        return min(max(int(part * CHART), 0), CHART - 1)

    def row(self, label, cells, code=None):
        line = "".join(cells).rstrip()
        print(f"   {label:<{LEFT - 3}}{paint(code, line) if code else line}")

    def axis(self):
        length = (self.end - self.begin) / self.unit
        step = next(s * m for m in (0.01, 0.1, 1, 10, 100, 1000, 10000)
                    for s in (1, 2, 5) if length / (s * m) <= 8)
        first = -(-(self.begin - self.zero) / self.unit // step)
        ticks, text = [" "] * CHART, [" "] * (CHART + 2)
        for i in range(int(first), int(first) + 20):
            at = self.zero + i * step * self.unit
            if self.begin <= at < self.end:
                col, label = self.column(at), f"{i * step:g}"
                ticks[col] = "|" if ASCII else "╷"
                text[col:col + len(label)] = label
        self.row("s" if self.unit == 1000 else "ms", text[:CHART], "2")
        self.row("", ticks, "2")

    def marks(self, label, times, char, code=None):
        cells = [" "] * CHART
        for at in times:
            if self.begin <= at < self.end:
                cells[self.column(at)] = char
        self.row(label, cells, code)

    def span(self, cells, begin, end, char):
        for col in range(self.column(begin), self.column(end) + 1):
            cells[col] = char


# -- pictures ---------------------------------------------------------------------

def draw_epochs(send):
    epochs = epochs_of(send)
    most = max(o["bytes_sent"] for o in epochs)
    slowed = max(o["throttle_percent"] for o in epochs)
    print(paint("2", f"   epoch      took  {'sent':<34}{'':>11}  "
                     f"{'written meanwhile':>24}  Gbit/s"))
    for o in epochs:
        dirty = "" if o["final"] else \
            f"{o['dirty_pages']} pages {mib(o['dirty_pages'] * PAGE):>10}"
        if o["final"]:
            dirty = "nothing: it is paused"
        print(f"   {o['epoch']:>5}{'*' if o['throttle_percent'] else ' '}"
              f"{o['ms'] / 1000:>7.3f} s  "
              f"{painted(o['bytes_sent'], most, 34)} "
              f"{mib(o['bytes_sent']):>10}  {dirty:>24}  "
              f"{o['gbit_per_s']:>6.2f}")
    if slowed:
        print(f"   * the guest was slowed down, by up to {slowed} %, so that "
              "it converges")


def draw_clock(*paths):
    c = Clock(*paths)
    begin = c.epochs[0][1]
    slack = max((c.runs - begin) * 0.1, 200)
    chart = Chart(begin - slack, c.runs + slack, begin, 1000)
    cells = [" "] * CHART
    chart.axis()
    for number, start, end, _ in c.epochs:
        chart.span(cells, start, end, str(number % 10))
    chart.row("epoch", cells, "36")
    cells = [" "] * CHART
    chart.span(cells, c.stopped, c.runs, "#" if ASCII else "█")
    chart.row("guest paused", cells, "31")
    heart = "^" if ASCII else "♥"
    chart.marks("beats at src", (b[0] for b in c.src), heart, "32")
    chart.marks("beats at dst", (b[0] for b in c.dst), heart, "32")


def draw_downtime(*paths):
    c = Clock(*paths)
    first, last = c.dst[0], c.src[-1]
    chart = Chart(min(last[0], c.stopped) - 40, max(first[0], c.runs) + 50,
                  c.stopped, 1)
    heart = "^" if ASCII else "♥"
    chart.axis()
    chart.marks("beats at src", (b[0] for b in c.src), heart, "32")
    at = c.stopped
    for name, key in PARTS:
        ms = c.result.get(key, 0)
        if name in ("held", "verify") and ms < 1:
            at += ms
            continue
        cells = [" "] * CHART
        chart.span(cells, at, at + ms, "#" if ASCII else "█")
        chart.row(f"{name:<7}{ms:>5.1f}", cells, "31")
        at += ms
    chart.marks("beats at dst", (b[0] for b in c.dst), heart, "32")
    print()
    for text, ms, more in (
            ("downtime, as xdpmig reports it", c.result["downtime_ms"], ""),
            ("as it expected when it asked for the pause",
             c.epochs[-2][3] or 0, ""),
            ("gap between two heartbeats, on the host's clock",
             first[0] - last[0], f"usually {c.usual_gap():.0f} ms"),
            ("the same gap on the guest's own clock", first[1] - last[1],
             "which stands while it is paused")):
        print(f"   {text:<48}{ms:>7.1f} ms  {paint('2', more)}".rstrip())


def draw_channels(send):
    channels = result_of(send)["per_channel"]
    most = max(o["pages"] for o in channels)
    half = (len(channels) + 1) // 2
    head = f"queue  {'':<16} {'pages':>7} {'frames':>7} {'again':>5}"
    print(paint("2", f"   {head}" + f"   {head}" * (len(channels) > 1)))
    for i in range(half):
        line = "  "
        for o in channels[i::half]:
            line += (f" {o['queue']:>5}  {painted(o['pages'], most, 16)}"
                     f" {o['pages']:>7} {o['frames_sent']:>7}"
                     f" {o['frames_resent']:>5}  ")
        print(line.rstrip())


def dropped(recv):
    found = [f"{k} {v}" for k, v in recv["drops"].items() if v]
    return ", ".join(found) if found else "none"


def draw_figures(*paths):
    moves = [(result_of(s), result_of(r)) for s, r in
             (paths[:2], paths[2:])]
    rows = (
        ("epochs", lambda s, r: s["epochs"]),
        ("total time", lambda s, r: f"{s['total_ms']} ms"),
        ("downtime", lambda s, r: f"{s['downtime_ms']:.1f} ms"),
        ("pages sent", lambda s, r: mib(s["ram_bytes_sent"])),
        ("rate", lambda s, r: f"{s['gbit_per_s']:.2f} Gbit/s"),
        ("zero pages, sent as numbers", lambda s, r: s["zero_pages"]),
        ("   of them still holes at the target", lambda s, r: r["zero_holes"]),
        ("device state", lambda s, r: f"{s['device_bytes'] / 1024:.0f} KiB"),
        ("harvests of the dirty log, in all",
         lambda s, r: f"{s['harvest_ms']:.1f} ms"),
        ("frames, and sent again",
         lambda s, r: f"{s['frames_sent']} + {s['frames_resent']}"),
        ("locked memory at the source", lambda s, r: mib(s["locked_bytes"])),
        ("system calls of the source", lambda s, r: s["syscalls"]),
        ("CPU time, source and target",
         lambda s, r: f"{s['cpu_ms']} + {r['cpu_ms']} ms"),
    )
    print(paint("2", f"   {'':<38}{'there':>20}{'back':>20}"))
    for text, value in rows:
        print(f"   {text:<38}" + "".join(f"{value(*m)!s:>20}" for m in moves))
    for way, (_, recv) in zip(("there", "back"), moves):
        print(f"   frames not taken, {way + ':':<7} {dropped(recv)}")
    if any(recv["drops"]["bad_payload_crc"] for _, recv in moves):
        print("   (bad_payload_crc: the guest wrote to a page that was on its "
              "way; the page is sent again)")
    engine = moves[0][0]["engine"]
    if not moves[0][0]["zero_copy"]:
        engine += ": sent by descriptor from guest memory; " \
            "the kernel copies, a veth has no zero-copy"
    print(f"   engine {engine}")


def main():
    draw = {"epochs": draw_epochs, "clock": draw_clock,
            "downtime": draw_downtime, "channels": draw_channels,
            "figures": draw_figures}
    args = [arg for arg in sys.argv[1:] if not arg.startswith("--")]
    if not args or args[0] not in draw:
        sys.exit(__doc__)
    sys.stdout.reconfigure(encoding="utf-8")
    draw[args[0]](*args[1:])


if __name__ == "__main__":
    main()
