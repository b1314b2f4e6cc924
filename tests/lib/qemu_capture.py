#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Record what a real QEMU sends when it migrates with multifd.

Starts a paused guest (TCG, nothing runs in it) whose RAM holds a pattern,
migrates it into a listener of this script's own, and writes one file per
multifd channel, chan0.bin and so on, and main.bin for the main stream, to the
output directory.  The guest never reaches another QEMU: multifd is one-way,
so a listener that only reads is a complete destination for the source.

The fixtures below tests/unit/fixtures were made with it; see the README there.

With --headers the payload behind each packet is left out: a channel's file is
then the INIT packet and the 1344-byte headers, one after another.

  --pages 0,3-5    pages of guest RAM that are not zero (default: none)
  --zero-copy      with zero-copy-send, which wants TCP on the loopback; in a
                   namespace:  unshare -n sh -c 'ip link set lo up; ...'
"""
import argparse
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading

PAGE = 4096
INIT_LEN = 64
HEADER_LEN = 1344
MAGIC_MULTIFD = b"\x11\x22\x33\x44"
DEADLINE = 60  # seconds; a capture takes one


class Qmp:
    """The few lines of QMP that are needed."""

    def __init__(self, sock):
        sock.settimeout(DEADLINE)
        self.file = sock.makefile("rw")
        json.loads(self.file.readline())  # greeting
        self("qmp_capabilities")

    def __call__(self, name, **args):
        json.dump({"execute": name, "arguments": args}, self.file)
        self.file.flush()
        return self.wait(lambda m: "return" in m or "error" in m, name)["return"]

    def wait(self, wanted, what):
        for line in self.file:
            msg = json.loads(line)
            if "error" in msg:
                sys.exit(f"{what}: {msg['error']['desc']}")
            if wanted(msg):
                return msg
        sys.exit(f"{what}: QEMU closed the monitor")


def parse_pages(text):
    pages = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        pages += range(int(first), int(last or first) + 1)
    return pages


def write_ram(path, size, pages):
    """Page n starts with n, and repeats it: small to describe, easy to check."""
    with open(path, "wb") as ram:
        ram.truncate(size)
        for page in pages:
            ram.seek(page * PAGE)
            ram.write(struct.pack(">Q", page + 1) * (PAGE // 8))


def write_bios(path):
    """64 KiB are the least a PC takes.  One page that is not zero."""
    with open(path, "wb") as bios:
        bios.write(bytes(64 * 1024 - 16) + b"\xf4" * 16)  # hlt


def listen(zero_copy, work):
    if zero_copy:
        sock = socket.create_server(("127.0.0.1", 0))
        return sock, "tcp:127.0.0.1:%d" % sock.getsockname()[1]
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(f"{work}/migrate")
    sock.listen(64)
    return sock, f"unix:{work}/migrate"


def read_all(conn, streams):
    data = b""
    while True:
        piece = conn.recv(1 << 16)
        if not piece:
            break
        data += piece
    streams.append(data)


def accept_all(sock, count, streams):
    """One thread per connection, so that the channels run side by side."""
    threads = []
    sock.settimeout(DEADLINE)
    for _ in range(count):
        conn, _ = sock.accept()
        conn.settimeout(DEADLINE)
        thread = threading.Thread(target=read_all, args=(conn, streams))
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join()


def start_qemu(opts, work, monitor):
    write_ram(f"{work}/ram", opts.ram << 20, parse_pages(opts.pages))
    write_bios(f"{work}/bios")
    cmd = [opts.qemu, "-S", "-nodefaults", "-display", "none", "-accel", "tcg",
           "-machine", f"{opts.machine},memory-backend=ram0", "-m", str(opts.ram),
           "-object", f"memory-backend-file,id=ram0,size={opts.ram}M,"
           f"mem-path={work}/ram,share=on",
           "-bios", f"{work}/bios",
           "-chardev", f"socket,id=mon,fd={monitor.fileno()}",
           "-mon", "chardev=mon,mode=control"]
    if opts.uuid:
        cmd += ["-uuid", opts.uuid]
    return subprocess.Popen(cmd, pass_fds=[monitor.fileno()])


def migrate(opts, uri, listener, qmp):
    streams = []
    caps = ["multifd", "events"] + ["zero-copy-send"] * opts.zero_copy
    qmp("migrate-set-capabilities",
        capabilities=[{"capability": c, "state": True} for c in caps])
    qmp("migrate-set-parameters", **{"multifd-channels": opts.channels,
                                     "max-bandwidth": 1 << 32})
    qmp("migrate", uri=uri)
    accept_all(listener, opts.channels + 1, streams)
    status = qmp("query-migrate")["status"]
    if status != "completed":
        sys.exit(f"migration ended as '{status}'")
    return streams


def capture(opts):
    """The streams, and the name of the QEMU that sent them."""
    ours, theirs = socket.socketpair()
    with tempfile.TemporaryDirectory() as work:
        listener, uri = listen(opts.zero_copy, work)
        qemu = start_qemu(opts, work, theirs)
        theirs.close()
        try:
            qmp = Qmp(ours)
            return migrate(opts, uri, listener, qmp), qmp("query-version")["package"]
        finally:
            qemu.kill()
            qemu.wait()


def split_channel(stream):
    """INIT, then (header, payload) pairs."""
    pos, packets = INIT_LEN, []
    while pos < len(stream):
        header = stream[pos:pos + HEADER_LEN]
        normal, = struct.unpack_from(">I", header, 16)
        pos += HEADER_LEN + normal * PAGE
        packets.append((header, stream[pos - normal * PAGE:pos]))
    if pos != len(stream):
        sys.exit("a channel's stream ends inside a packet")
    return stream[:INIT_LEN], packets


def describe(packets):
    for header, _ in packets:
        flags, _, normal, size, num = struct.unpack_from(">IIIIQ", header, 8)
        name = header[64:320].split(b"\0")[0].decode()
        yield f"  num {num} flags {flags} normal {normal} next {size} block '{name}'"


def write_streams(opts, streams):
    os.makedirs(opts.out, exist_ok=True)
    for stream in streams:
        if stream[:4] != MAGIC_MULTIFD:
            name, data = "main.bin", stream
        else:
            init, packets = split_channel(stream)
            name = f"chan{init[24]}.bin"
            data = init + b"".join(h if opts.headers else h + p for h, p in packets)
            print(name, *describe(packets), sep="\n")
        with open(os.path.join(opts.out, name), "wb") as out:
            out.write(data)


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--qemu", default="qemu-system-x86_64")
    p.add_argument("--machine", default="pc")
    p.add_argument("--ram", type=int, default=8, help="MiB")
    p.add_argument("--pages", default="")
    p.add_argument("--channels", type=int, default=2)
    p.add_argument("--uuid")
    p.add_argument("--zero-copy", action="store_true")
    p.add_argument("--headers", action="store_true")
    p.add_argument("out")
    opts = p.parse_args()
    streams, version = capture(opts)
    print("QEMU", version)
    write_streams(opts, streams)


if __name__ == "__main__":
    main()
