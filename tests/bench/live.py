#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""live.py - a running guest, moved and measured

    live.py boot OPTION...    a guest of dirtier.c, filled, stopped and kept:
                              its RAM and its devices' state in --dir
    live.py move OPTION...    a copy of that guest runs in one network namespace
                              and is moved to the other; one line of JSON

So all moves begin with the same guest, byte for byte.  What it does is seen
from outside, in its RAM file (heart.h), by watch; what the movers' CPU time is:

    xdpmig    its two processes, from their start to their end, and what the
              QEMUs' threads took that are no virtual CPUs
    QEMU      what both QEMUs' threads took that are no virtual CPUs

less what the source QEMU's took in the same time while nothing was moved.  Emulated virtual CPUs
burn CPU for the guest and are counted apart, per page it wrote.

Started by live.sh.
"""
import argparse
import json
import mmap
import os
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(__file__))
from qemu import Qemu, in_ns  # noqa: E402
from qmp import QmpError  # noqa: E402  (qemu.py knows where it is)

PAGE = 4096
HEART_SEED = 0x786d68656172
HEART_RATE = 16  # offset of the rate
HEART_LEN = 48
WARM_RATE = 2 * 10**9  # bytes a second: touches all that is filled once
PORT = 4444


# -- a guest ----------------------------------------------------------------------

class Guest(Qemu):
    prealloc = "off"  # holes stay holes

    def __init__(self, opts, ns, ram, work, *more):
        self.mig = os.path.join(work, ns + ".mig")
        super().__init__(
            opts, ns, ram, work, "-no-reboot", "-cpu", "max",
            "-smp", str(opts.vcpus),
            "-kernel", opts.kernel, "-initrd", opts.initrd,
            "-append", f"console=ttyS0 quiet panic=-1 tsc=reliable fill={opts.fill}",
            "-serial", f"file:{work}/{ns}.serial",
            "-qmp", f"unix:{self.mig},server=on,wait=off", *more)
        self.serial = f"{work}/{ns}.serial"
        self.vcpus = [c["thread-id"] for c in self.qmp("query-cpus-fast")]

    def capabilities(self, **caps):
        self.qmp("migrate-set-capabilities", capabilities=[
            {"capability": c.replace("_", "-"), "state": v} for c, v in caps.items()])

    def cpu_ns(self, otherwise=None):
        """Of virtual CPUs, and of all other threads, also those that ended.
        @otherwise: if it is gone."""
        if self.proc.poll() is not None and otherwise:
            return otherwise
        all_ns = time.clock_gettime_ns((~self.proc.pid << 3) | 2)
        vcpu_ns = 0
        for tid in self.vcpus:
            with open(f"/proc/{self.proc.pid}/task/{tid}/schedstat", encoding="utf-8") as f:
                vcpu_ns += int(f.read().split()[0])
        return vcpu_ns, all_ns - vcpu_ns


def wait_for(seconds, what, look):
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            sys.exit(f"live.py: after {seconds} s still no {what}")
        time.sleep(0.02)


def migration_is_over(guest):
    info = guest.qmp("query-migrate")
    if info.get("status") == "failed":
        sys.exit(f"live.py: QEMU: {info.get('error-desc', 'migration failed')}")
    return info.get("status") == "completed"


def is_ready(guest):
    if guest.proc.poll() is not None:
        sys.exit(f"live.py: QEMU ended: {open(guest.log.name, encoding='utf-8').read()}")
    with open(guest.serial, encoding="utf-8", errors="replace") as f:
        text = f.read()
    if "failed" in text or "panic" in text:
        sys.exit(f"live.py: the guest: {text[-500:]}")
    return "ready" in text


def heart_at(ram):
    """Offset of the heart in a RAM file."""
    mark = b""
    for i in range(2):
        x = (HEART_SEED + i) * 0x9e3779b97f4a7c15 & (1 << 64) - 1
        mark += (x ^ x >> 29).to_bytes(8, "little")
    with open(ram, "rb") as f, mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as m:
        at = m.find(mark)
        while at >= 0 and at % PAGE:
            at = m.find(mark, at + 1)
    if at < 0:
        sys.exit("live.py: the guest has no heart")
    return at


def boot(opts):
    ram = f"{opts.dir}/base.ram"
    with tempfile.TemporaryDirectory(prefix="xdpmig-live-") as work:
        guest = Guest(opts, opts.src_ns, ram, work)
        try:
            wait_for(300, "guest", lambda: is_ready(guest))
            at = heart_at(ram)
            guest.qmp("stop")
            guest.capabilities(x_ignore_shared=True)
            guest.qmp("migrate-set-parameters", max_bandwidth=10**11)
            guest.qmp("migrate", uri=f"exec:cat >{opts.dir}/base.state")
            wait_for(60, "state of the guest", lambda: migration_is_over(guest))
        finally:
            guest.quit()
    with open(f"{opts.dir}/heart", "w", encoding="utf-8") as f:
        f.write(str(at))


def wake(opts, work):
    """The guest of boot(), running at the source."""
    ram = f"{opts.dir}/src.ram"
    subprocess.run(["cp", "--sparse=always", f"{opts.dir}/base.ram", ram], check=True)
    guest = Guest(opts, opts.src_ns, ram, work, "-incoming", "defer")
    try:
        guest.capabilities(x_ignore_shared=True)
        guest.qmp("migrate-incoming", uri=f"exec:cat {opts.dir}/base.state")
        wait_for(60, "guest", lambda: migration_is_over(guest))
        guest.capabilities(x_ignore_shared=False)
        guest.qmp("cont")
    except (Exception, SystemExit):
        guest.quit()
        raise
    return guest


# -- its heart --------------------------------------------------------------------

class Watch:
    """A program that writes down what the hearts of both RAM files say."""

    def __init__(self, opts, work):
        with open(f"{opts.dir}/heart", encoding="utf-8") as f:
            self.at = int(f.read())
        self.ram = [f"{opts.dir}/src.ram", f"{opts.dir}/dst.ram"]
        self.log = os.path.join(work, "watch")
        self.proc = subprocess.Popen([opts.watch, str(self.at), *self.ram, self.log])
        self.lines, self.late_ms = [], None

    def heart(self, which):
        """beats, work, wrong"""
        with open(self.ram[which], "rb") as f:
            f.seek(self.at)
            words = memoryview(f.read(HEART_LEN)).cast("Q")
        return words[3], words[4], words[5]

    def set_rate(self, rate):
        with open(self.ram[0], "r+b") as f:
            f.seek(self.at + HEART_RATE)
            f.write(rate.to_bytes(8, "little"))

    def end(self):
        self.proc.terminate()
        if self.proc.wait():
            sys.exit("live.py: watch failed")
        with open(self.log, encoding="utf-8") as f:
            for line in f:
                words = line.split()
                if words[0] == "late":
                    self.late_ms = round(int(words[1]) / 1e6, 1)
                else:
                    self.lines.append([int(w) for w in words])

    def kill(self):
        self.proc.kill()
        self.proc.wait()

    def per_s(self, t0, t1, column):
        """How fast a column grew at the source; None if nothing was seen."""
        seen = [x for x in self.lines if t0 <= x[0] <= t1]
        if len(seen) < 2:
            return None
        return (seen[-1][column] - seen[0][column]) * 1e9 / (seen[-1][0] - seen[0][0])

    def last_at_source(self):
        beats = max(x[1] for x in self.lines)
        return next(x for x in self.lines if x[1] == beats)

    def first_at_destination(self, beats):
        return next((x for x in self.lines if x[4] > beats), None)

    def longest_gap_ms(self, t0, t1):
        """At the source, between two beats."""
        at = [x[0] for i, x in enumerate(self.lines)
              if t0 <= x[0] <= t1 and (not i or x[1] != self.lines[i - 1][1])]
        gaps = [b - a for a, b in zip(at, at[1:])]
        return round(max(gaps, default=0) / 1e6, 1)


# -- moves ------------------------------------------------------------------------

def by_qemu(opts, src, dst, zero_copy):
    """Returns figures; status is "completed", or "time limit"."""
    more = {"zero_copy_send": True} if zero_copy else {}
    for guest in (src, dst):
        guest.qmp("migrate-set-parameters", multifd_channels=opts.channels)
    dst.capabilities(multifd=True, events=True)
    src.capabilities(multifd=True, events=True, auto_converge=opts.converge == "auto", **more)
    src.qmp("migrate-set-parameters", max_bandwidth=10**11, downtime_limit=opts.downtime)
    dst.qmp("migrate-incoming", uri=f"tcp:{opts.dst}:{PORT}")

    def run():
        src.qmp("migrate", uri=f"tcp:{opts.dst}:{PORT}")
        end = time.monotonic() + opts.limit
        while True:
            info = src.qmp("query-migrate")
            if info["status"] in ("completed", "failed", "cancelled"):
                break
            if time.monotonic() > end:
                src.qmp("migrate_cancel")
            time.sleep(0.01)
        if info["status"] == "failed":
            sys.exit(f"live.py: QEMU: {info.get('error-desc', 'migration failed')}")
        done = info["status"] == "completed"
        while done and not info.get("total-time"):  # it sums up a little later
            time.sleep(0.01)
            info = src.qmp("query-migrate")
        ram = info.get("ram", {})
        if not done:
            info = {}
        return {
            "status": "completed" if done else "time limit",
            "own_total_ms": info.get("total-time"), "own_setup_ms": info.get("setup-time"),
            "own_downtime_ms": info.get("downtime"),
            "epochs": ram.get("dirty-sync-count"), "sent_bytes": ram.get("transferred"),
        }
    return run


def by_xdpmig(opts, src, dst, work):
    with open(f"{work}/recv.err", "w+", encoding="utf-8") as err:
        recv = subprocess.Popen(
            in_ns(opts.dst_ns, opts.xdpmig, "recv", "--dev", opts.dst_dev, "--qmp", dst.mig,
                  "--name", "at-target", "--json"),
            stdin=subprocess.DEVNULL, stdout=open(f"{work}/recv.out", "w", encoding="utf-8"),
            stderr=err)

    def text(name):
        with open(f"{work}/{name}", encoding="utf-8") as f:
            return f.read()

    try:
        wait_for(20, "xdpmig recv that waits",
                 lambda: recv.poll() is not None or "waiting" in text("recv.err"))
    except SystemExit:
        recv.kill()
        raise

    def run():
        send = ["send", "--dev", opts.src_dev, "--queues", str(opts.channels),
                "--qmp", src.mig, "--json", "--max-downtime", f"{opts.downtime}ms",
                "--timeout", f"{opts.limit}s", "--converge", opts.converge, opts.dst]
        with open(f"{work}/send.out", "w", encoding="utf-8") as out, \
                open(f"{work}/send.err", "w", encoding="utf-8") as err:
            status, used = waited(subprocess.Popen(
                in_ns(opts.src_ns, opts.xdpmig, *send),
                stdin=subprocess.DEVNULL, stdout=out, stderr=err))
        _, used2 = waited(recv)
        result = json.loads(text("send.out").splitlines()[-1])
        if status and result.get("reason") != "not_converged":
            sys.exit(f"live.py: xdpmig: {text('send.err')}{text('recv.err')}")
        epochs = [json.loads(x) for x in text("send.out").splitlines() if '"event":"epoch"' in x]
        figures = {
            "status": "time limit" if status else "completed",
            "own_total_ms": result["total_ms"], "own_setup_ms": result.get("setup_ms"),
            "own_downtime_ms": result.get("downtime_ms"), "epochs": result["epochs"],
            "sent_bytes": result["ram_bytes_sent"] + result.get("device_bytes", 0),
            "harvest_ms": result.get("harvest_ms"),
            "throttle_percent": result.get("throttle_percent"),
            "process_cpu_ms": [round(used, 1), round(used2, 1)],
            "epoch_pages": [x["pages"] for x in epochs], "epoch_ms": [x["ms"] for x in epochs],
            "epoch_gbit_per_s": [round(x["gbit_per_s"], 1) for x in epochs],
        }
        figures.update({k: round(v, 1) for k, v in result.items()
                        if k.startswith("downtime_") and k != "downtime_ms"})
        return figures
    return run


def waited(proc):
    """Exit status, and CPU time in ms with that of its children."""
    _, status, used = os.wait4(proc.pid, 0)
    proc.returncode = os.waitstatus_to_exitcode(status)
    return proc.returncode, (used.ru_utime + used.ru_stime) * 1e3


def link_bytes(opts):
    out = subprocess.run(in_ns(opts.src_ns, "ip", "-j", "-s", "link", "show", opts.src_dev),
                         check=True, capture_output=True, text=True).stdout
    return json.loads(out)[0]["stats64"]["tx"]["bytes"]


def prepare(opts, src, dst, work):
    if opts.way == "xdpmig":
        return by_xdpmig(opts, src, dst, work)
    return by_qemu(opts, src, dst, opts.way == "qemu-zero-copy")


def warm_up(opts, watch):
    """All that it filled is mapped again, as in a guest that runs for long."""
    pages = opts.fill * (1 << 20) // PAGE
    until = watch.heart(0)[1] + pages
    watch.set_rate(WARM_RATE)
    wait_for(120, "guest that is warm", lambda: watch.heart(0)[1] >= until)
    watch.set_rate(opts.rate * 10**6)
    time.sleep(opts.settle)


def arrives(watch):
    """Does the guest go on at the destination?"""
    beats = watch.heart(0)[0]
    end = time.monotonic() + 20
    while watch.heart(1)[0] <= beats + 20:
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def measure(opts, src, dst, watch, work):
    run = prepare(opts, src, dst, work)
    warm_up(opts, watch)
    a, t_a = (src.cpu_ns(), dst.cpu_ns()), time.monotonic_ns()
    time.sleep(opts.before)
    link = link_bytes(opts)
    b, t_b = (src.cpu_ns(), dst.cpu_ns()), time.monotonic_ns()
    figures = run()
    t_c, c = time.monotonic_ns(), (src.cpu_ns(), dst.cpu_ns(b[1]))
    figures["link_bytes"] = link_bytes(opts) - link
    if figures["status"] == "completed" and not arrives(watch):
        figures["status"] = "guest lost"
        figures["qemu_ended"] = dst.proc.poll() is not None
        with open(dst.serial, encoding="utf-8", errors="replace") as f:
            figures["console"] = f.read()[-2000:]
    time.sleep(opts.before)
    watch.end()
    figures["total_ms"] = round((t_c - t_b) / 1e6, 1)
    stopped, runs = see(figures, watch, (t_a, t_b, t_c), (a, b, c))
    count_cpu(figures, (a, b, c), (t_b - t_a, stopped - t_b, max(0, t_c - runs)))
    return figures


def count_cpu(figures, cpu, ns):
    """CPU time of the movers.  A guest that runs needs QEMU's timers, too."""
    (a, _), (b, b2), (c, c2) = cpu
    own = figures.pop("process_cpu_ms", [0, 0])
    idle = (b[1] - a[1]) / ns[0]
    figures["src_qemu_cpu_ms"] = round((c[1] - b[1] - idle * ns[1]) / 1e6, 1)
    figures["dst_qemu_cpu_ms"] = round((c2[1] - b2[1] - idle * ns[2]) / 1e6, 1)
    figures["src_cpu_ms"] = round(own[0] + figures["src_qemu_cpu_ms"], 1)
    figures["dst_cpu_ms"] = round(own[1] + figures["dst_qemu_cpu_ms"], 1)


def see(figures, watch, at, cpu):
    """What the guest knows of it; returns when it stopped and when it ran again."""
    t_a, t_b, t_c = at
    last = watch.last_at_source()
    figures["watch_late_ms"] = watch.late_ms
    stopped = runs = t_c
    if figures["status"] != "time limit":
        stopped = last[0]
    if figures["status"] == "completed":
        first = watch.first_at_destination(last[1])
        figures["gap_ms"] = round((first[0] - last[0]) / 1e6, 1)
        figures["moved_ms"] = round((first[0] - t_b) / 1e6, 1)
        runs = first[0]
    figures["wrong"] = max(max(x[3], x[6]) for x in watch.lines)
    if figures["wrong"]:
        figures["status"] = "memory wrong"
    for name, column in (("beats", 1), ("pages", 2)):
        before = watch.per_s(t_a, t_b, column)
        meanwhile = watch.per_s(t_b, stopped, column)
        figures[name + "_per_s_before"] = before and round(before, 1)
        figures[name + "_per_s"] = meanwhile and round(meanwhile, 1)
    name = "pages" if figures["pages_per_s_before"] else "beats"
    figures["work_ratio"] = ratio(figures[name + "_per_s"], figures[name + "_per_s_before"])
    figures["longest_gap_ms"] = watch.longest_gap_ms(t_b, stopped)
    figures["longest_gap_ms_before"] = watch.longest_gap_ms(t_a, t_b)
    # virtual CPUs' time for each unit of work
    before = (cpu[1][0][0] - cpu[0][0][0]) / (t_b - t_a)
    meanwhile = (cpu[2][0][0] - cpu[1][0][0]) / (stopped - t_b)
    figures["vcpu_load_before"] = round(before, 3)
    figures["vcpu_load"] = round(meanwhile, 3)
    figures["cost_ratio"] = ratio(ratio(meanwhile, before), figures["work_ratio"])
    return stopped, runs


def ratio(a, b):
    return round(a / b, 3) if a is not None and b else None


def move(opts):
    with tempfile.TemporaryDirectory(prefix="xdpmig-live-") as work:
        src = dst = watch = None
        try:
            src = wake(opts, work)
            dst = Guest(opts, opts.dst_ns, f"{opts.dir}/dst.ram", work, "-incoming", "defer")
            watch = Watch(opts, work)
            figures = measure(opts, src, dst, watch, work)
        finally:
            for guest in (src, dst):
                if guest:
                    guest.quit()
            if watch:
                watch.kill()
            for name in ("src", "dst"):
                if os.path.exists(f"{opts.dir}/{name}.ram"):
                    os.remove(f"{opts.dir}/{name}.ram")
    print(json.dumps({"what": opts.way, "rate": opts.rate, "mtu": opts.mtu,
                      "channels": opts.channels, "load": os.getloadavg()[0], **figures}))


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("verb", choices=["boot", "move"])
    p.add_argument("--dir", required=True, help="for RAM files: a tmpfs")
    p.add_argument("--kernel", required=True)
    p.add_argument("--initrd", required=True)
    p.add_argument("--src-ns", required=True)
    p.add_argument("--dst-ns")
    p.add_argument("--src-dev")
    p.add_argument("--dst-dev")
    p.add_argument("--dst", help="the destination's address")
    p.add_argument("--xdpmig")
    p.add_argument("--watch", help="the program")
    p.add_argument("--size", type=int, required=True, help="bytes of RAM")
    p.add_argument("--fill", type=int, required=True, help="MiB of it that the guest fills")
    p.add_argument("--vcpus", type=int, default=1)
    p.add_argument("--way", choices=["xdpmig", "qemu", "qemu-zero-copy"])
    p.add_argument("--rate", type=int, default=0, help="MB/s that the guest writes")
    p.add_argument("--mtu", type=int)
    p.add_argument("--channels", type=int, default=16)
    p.add_argument("--downtime", type=int, default=300, help="ms, the limit")
    p.add_argument("--converge", choices=["auto", "fail"], default="fail")
    p.add_argument("--limit", type=int, default=30, help="s, then it has not converged")
    p.add_argument("--before", type=float, default=2, help="s, of the guest alone")
    p.add_argument("--settle", type=float, default=0.5)
    opts = p.parse_args()
    # kill by signal as by exception, so that nothing is left running
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        boot(opts) if opts.verb == "boot" else move(opts)
    except QmpError as e:
        sys.exit(f"live.py: QEMU: {e}")


if __name__ == "__main__":
    main()
