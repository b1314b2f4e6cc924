#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""qmp.py - the few lines of QMP that tests need

    qmp.py SOCKET COMMAND [ARGUMENTS-AS-JSON]    prints what it returns
    qmp.py SOCKET wait EVENT                     until EVENT comes (30 s)

Exit status 1 and one line if QEMU refuses or is not there.
"""
import json
import socket
import sys


class QmpError(Exception):
    pass


class Qmp:
    """A monitor.  qmp("query-status"), qmp("migrate", uri="tcp:...").
    Events that came meanwhile are in qmp.events."""

    def __init__(self, path, timeout=30):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(timeout)
        self.sock.connect(path)
        self.file = self.sock.makefile("rw", encoding="utf-8")
        self.events = []
        self._read()  # the greeting
        self("qmp_capabilities")

    def _read(self):
        line = self.file.readline()
        if not line:
            raise QmpError("QEMU closed the monitor")
        return json.loads(line)

    def __call__(self, command, **arguments):
        arguments = {k.replace("_", "-"): v for k, v in arguments.items()}
        json.dump({"execute": command, "arguments": arguments}, self.file)
        self.file.write("\n")
        self.file.flush()
        while True:
            msg = self._read()
            if "event" in msg:
                self.events.append(msg)
            elif "error" in msg:
                raise QmpError(f"{command}: {msg['error']['desc']}")
            else:
                return msg["return"]

    def wait(self, event):
        """Until @event comes, or has come; it is consumed."""
        while True:
            for i, msg in enumerate(self.events):
                if msg["event"] == event:
                    return self.events.pop(i)
            msg = self._read()
            if "event" in msg:
                self.events.append(msg)


def main(path, command, arguments="{}"):
    try:
        qmp = Qmp(path)
        if command == "wait":
            print(json.dumps(qmp.wait(arguments)))
        else:
            print(json.dumps(qmp(command, **json.loads(arguments))))
    except (OSError, QmpError) as e:
        sys.exit(f"{path}: {e}")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(*sys.argv[1:])
