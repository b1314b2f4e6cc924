#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""qemu.py - QEMU's own migration of the same memory, measured

Two QEMUs, each in a network namespace: the source is paused (-S) and its RAM
file is already full; it migrates with multifd over TCP, bandwidth limit raised.
Prints one line of JSON.  CPU time and system calls are those between the
migrate command and the end, per process; system calls need perf(1).

Started by bench.sh.
"""
import argparse
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from qmp import Qmp  # noqa: E402

DEADLINE = 300  # seconds, for everything


def in_ns(name, *command):
    return ["nsenter", f"--net=/run/netns/{name}", "--", *command]


class Qemu:
    """A process in namespace @ns, its monitor and its log in folder @work."""
    prealloc = "on"

    def __init__(self, opts, ns, ram, work, *more):
        self.monitor = os.path.join(work, ns + ".qmp")
        self.log = open(os.path.join(work, ns + ".log"), "w+", encoding="utf-8")
        self.proc = subprocess.Popen(
            in_ns(ns, os.environ.get("LIVE_QEMU", "qemu-system-x86_64"), "-nodefaults", "-no-user-config",
                  "-display", "none", "-accel", "tcg,thread=multi",
                  "-machine", "q35,memory-backend=ram0",
                  "-m", f"{opts.size >> 10}k",
                  "-object", f"memory-backend-file,id=ram0,size={opts.size},"
                  f"mem-path={ram},share=on,prealloc={self.prealloc}",
                  "-qmp", f"unix:{self.monitor},server=on,wait=off", *more),
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.perf = None
        self.syscall_file = os.path.join(work, ns + ".perf")
        try:
            self.qmp = self.connect()
        except Exception:
            self.proc.kill()
            raise

    def connect(self):
        end = time.monotonic() + 60
        while True:
            try:
                return Qmp(self.monitor, timeout=DEADLINE)
            except OSError:
                if self.proc.poll() is not None or time.monotonic() > end:
                    self.log.seek(0)
                    sys.exit(f"qemu: {self.log.read()}")
                time.sleep(0.02)

    def set_up(self, caps, **params):
        caps = [{"capability": c, "state": True} for c in caps]
        self.qmp("migrate-set-capabilities", capabilities=caps)
        self.qmp("migrate-set-parameters", **params)

    def until_completed(self):
        while True:
            status = self.qmp.wait("MIGRATION")["data"]["status"]
            if status == "completed":
                return
            if status in ("failed", "cancelled"):
                info = self.qmp("query-migrate")
                sys.exit(f"qemu: migration {status}: {info.get('error-desc', '')}")

    def cpu_ms(self):
        """All of it, and user space's part."""
        with open(f"/proc/{self.proc.pid}/stat", encoding="utf-8") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        ms = 1000 // os.sysconf("SC_CLK_TCK")
        return (int(fields[11]) + int(fields[12])) * ms, int(fields[11]) * ms

    def count_syscalls(self):
        """Counts when this returns: threads that begin later are counted, too."""
        if not shutil.which("perf"):
            return
        control, ack = self.syscall_file + ".control", self.syscall_file + ".ack"
        os.mkfifo(control)
        os.mkfifo(ack)
        self.perf = subprocess.Popen(
            ["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "--delay", "-1",
             "--control", f"fifo:{control},{ack}",
             "-o", self.syscall_file, "-p", str(self.proc.pid)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        to, answer = os.open(control, os.O_RDWR), os.open(ack, os.O_RDWR)
        os.write(to, b"enable\n")
        if not select.select([answer], [], [], DEADLINE)[0]:
            sys.exit("perf stat does not begin to count")
        os.close(to)
        os.close(answer)

    def syscalls(self):
        """None without perf."""
        if not self.perf:
            return None
        self.perf.send_signal(signal.SIGINT)
        self.perf.wait()
        try:
            with open(self.syscall_file, encoding="utf-8") as f:
                return next(int(line.split(",")[0]) for line in f if "sys_enter" in line)
        except (OSError, StopIteration, ValueError):
            return None

    def quit(self):
        self.proc.kill()  # it has nothing to save
        self.proc.wait()


def migrate(src, dst, opts):
    caps = ["multifd", "events"]
    dst.set_up(caps, multifd_channels=opts.channels)
    dst.qmp("migrate-incoming", uri=f"tcp:{opts.addr}:{opts.port}")
    if opts.zero_copy:
        caps.append("zero-copy-send")
    src.set_up(caps, multifd_channels=opts.channels, max_bandwidth=10**11)
    for q in (src, dst):
        q.count_syscalls()
    before = src.cpu_ms(), dst.cpu_ms()
    src.qmp("migrate", uri=f"tcp:{opts.addr}:{opts.port}")
    src.until_completed()
    dst.until_completed()
    after = src.cpu_ms(), dst.cpu_ms()
    info = src.qmp("query-migrate")
    while info["total-time"] <= info["setup-time"]:  # completed a moment before
        time.sleep(0.01)
        info = src.qmp("query-migrate")
    ms = info["total-time"] - info["setup-time"]
    return {
        "bytes": opts.size, "total_ms": info["total-time"],
        "gbit_per_s": round(opts.size * 8 / ms / 1e6, 2),
        "src_cpu_ms": after[0][0] - before[0][0], "dst_cpu_ms": after[1][0] - before[1][0],
        "user_cpu_ms": sum(a[1] - b[1] for a, b in zip(after, before)),
        "src_syscalls": src.syscalls(), "dst_syscalls": dst.syscalls(),
        "normal_bytes": info["ram"]["normal-bytes"],
        "missed_zero_copy": info["ram"].get("dirty-sync-missed-zero-copy", 0),
    }


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--src-ns", required=True)
    p.add_argument("--dst-ns", required=True)
    p.add_argument("--src-ram", required=True)
    p.add_argument("--dst-ram", required=True)
    p.add_argument("--size", type=int, required=True)
    p.add_argument("--addr", required=True, help="the destination's")
    p.add_argument("--port", type=int, default=4444)
    p.add_argument("--channels", type=int, required=True)
    p.add_argument("--zero-copy", action="store_true")
    opts = p.parse_args()
    # kill by signal as by exception, so that nothing is left running
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="xdpmig-qemu-") as work:
        dst = Qemu(opts, opts.dst_ns, opts.dst_ram, work, "-S",
                   "-incoming", "defer")
        try:
            src = Qemu(opts, opts.src_ns, opts.src_ram, work, "-S")
            try:
                print(json.dumps(migrate(src, dst, opts)))
            finally:
                src.quit()
        finally:
            dst.quit()


if __name__ == "__main__":
    main()
