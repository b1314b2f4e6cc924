#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""profile.py SAMPLES RECV_PID MTU SEND_JSON RECV_JSON - a table of profile.sh's

SAMPLES is what perf script prints of a run, 1999 samples a second of each CPU.  Three
rows: source and destination are the processes, softirq is what the kernel did of
receiving under somebody else: ksoftirqd, which has it when a CPU's frames are too many
for the calls that send them, or whom an interrupt found there.  That is neither end's
time, but the frames': it is to be added.  All other work of others does not count.

Each sample belongs to the first of these that its functions say:

  payload    user space: summing, copying, looking for zeros
  tag        user space: GnuTLS and what it calls
  protocol   all other user space
  setup      kernel: registering and binding, faulting in, unmapping, files, program
             start and end
  copies     kernel: memcpy
  receive    kernel: from a veth's queue to the socket's ring, whoever it runs under;
             besides copies all that softirq has
  transmit   kernel: the rest of sendto(2)
  sleep      kernel: ppoll(2), and waking others up
  other      kernel: control connection, interrupts
"""
import json
import re
import sys

PERIOD_NS = 1e9 / 1999
KINDS = ["payload", "tag", "protocol", "copies", "receive", "transmit", "sleep", "other",
         "setup"]
PAYLOAD = re.compile(r"^(avx|sse|zero_is|xm_zero|xm_crc32c|table_)")
TAG = re.compile(r"gnutls|nettle|hogweed|gmp")
SETUP = re.compile(r"^__x64_sys_(setsockopt|bind|mmap|munmap|madvise|open|openat|bpf|close|"
                   r"socket|execve|exit_group|lseek|mprotect|brk|clone3?)$|"
                   r"^(do_exit|asm_exc_page_fault|ret_from_fork)$")
RECEIVE = re.compile(r"^(veth_poll|net_rx_action|__napi_poll|napi_busy_loop)$")


def kind_of(frames):
    """frames: (address, symbol, object), innermost first."""
    symbols = [symbol for _, symbol, _ in frames]
    if not frames[0][0].startswith("ffff"):  # of modules and BPF the object's name is theirs
        if PAYLOAD.match(symbols[0]):
            return "payload"
        return "tag" if TAG.search(frames[0][2]) else "protocol"
    if any(SETUP.match(s) for s in symbols):
        return "setup"
    if re.search("memcpy|copy_from_user", symbols[0]):
        return "copies"
    if any(RECEIVE.match(s) for s in symbols):
        return "receive"
    if "__x64_sys_sendto" in symbols:
        return "transmit"
    return "sleep" if "__x64_sys_ppoll" in symbols else "other"


def row_of(comm, pid, recv_pid, frames):
    """None: of nobody here."""
    if comm == "xdpmig":
        return "destination" if pid == recv_pid else "source"
    return "softirq" if any(symbol == "veth_poll" for _, symbol, _ in frames) else None


def samples(path):
    """(comm, pid, frames) of each."""
    comm, pid, frames = "", 0, []
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            head = re.match(r"\s*(\S.*?)\s+(\d+)\s+[\d.]+:", line)
            at = re.match(r"\s+([0-9a-f]+) (.+?) \((.*)\)$", line)
            if head:
                comm, pid, frames = head.group(1), int(head.group(2)), []
            elif at:
                frames.append(at.groups())
            elif frames:
                yield comm, pid, frames
                frames = []
    if frames:
        yield comm, pid, frames


def last_object(path):
    with open(path, encoding="utf-8") as f:
        return json.loads(f.read().strip().splitlines()[-1])


def main(path, recv_pid, mtu, send_json, recv_json):
    sent, got = last_object(send_json), last_object(recv_json)
    ns = {row: dict.fromkeys(KINDS, 0.0) for row in ("source", "destination", "softirq")}
    for comm, pid, frames in samples(path):
        row = row_of(comm, pid, int(recv_pid), frames)
        if row:
            ns[row][kind_of(frames)] += PERIOD_NS
    n = sent["frames_sent"]
    print(f"\nMTU {mtu}, {sent['channels']} channels, {sent['gbit_per_s']:.1f} Gbit/s, "
          f"{n} frames\n")
    print("| ns/frame | " + " | ".join(KINDS[:-1]) + " | busy | waiting | setup and end, ms |")
    print("|---|" + "---:|" * (len(KINDS) + 2))
    for row, figures in (("source", sent), ("destination", got), ("softirq", None)):
        busy = sum(ns[row][k] for k in KINDS[:-1])
        wait = setup = "-"
        if figures:
            wait = max(figures["threads"] * figures["transfer_ms"] * 1e6 - busy, 0)
            wait = f"{wait / n:.0f}"
            setup = f"{ns[row]['setup'] / 1e6:.0f}"
        print(f"| {row} | " + " | ".join(f"{ns[row][k] / n:.0f}" for k in KINDS[:-1])
              + f" | {busy / n:.0f} | {wait} | {setup} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
