#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""analyze.py BUILD SUPPRESSIONS JOBS - gcc's analyzer over userspace/

BUILD is a build directory made with gcc: each file is compiled once more as
there, with -fanalyzer, and the object is thrown away.  What is found is printed,
and the status is 1, unless SUPPRESSIONS has it: lines "FILE WARNING", '#' begins a
reason.  One that hides nothing is a finding too, so that none outlives its reason.
"""
import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys

FINDING = re.compile(r"^(\S+?):\d+:\d+: \S+: .*\[-(?:Werror=|W)(analyzer-\S+?)\]", re.M)


def command(entry):
    """As in the build, but analyzed, and without files that it would write; and what
    is found is counted here, so it must not end a build."""
    args, skip = [], False
    for arg in shlex.split(entry["command"]):
        if skip or arg in ("-o", "-MF", "-MQ"):
            skip = not skip
        elif arg not in ("-MD", "-Werror") and os.path.basename(arg) != "ccache":
            args.append(arg)
    return args + ["-fanalyzer", "-fdiagnostics-color=never", "-o", "/dev/null"]


def analyze(entry):
    run = subprocess.run(command(entry), cwd=entry["directory"], text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return run.returncode, run.stdout


def main():
    build, suppressions, jobs = sys.argv[1:]
    root = os.getcwd() + "/"
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
        entries = {}
        for entry in json.load(f):
            path = os.path.realpath(os.path.join(entry["directory"], entry["file"]))
            if path.startswith(root + "userspace/"):
                entries.setdefault(path.removeprefix(root), entry)
    with open(suppressions, encoding="utf-8") as f:
        lines = (line.split("#")[0].split() for line in f)
        hidden = {tuple(words): False for words in lines if words}
    if not entries:
        sys.exit("nothing to analyze: " + build)
    status = 0
    with concurrent.futures.ThreadPoolExecutor(int(jobs)) as pool:
        for path, (code, text) in zip(entries, pool.map(analyze, entries.values())):
            kinds = {m.group(2) for m in FINDING.finditer(text)}
            for kind in kinds:
                if (path, kind) in hidden:
                    hidden[path, kind] = True
            if code or any((path, kind) not in hidden for kind in kinds):
                print(f"{path}:\n{text}")
                status = 1
    for (path, kind), was_met in hidden.items():
        if not was_met:
            print(f"{suppressions}: {path} {kind}: hides nothing any more")
            status = 1
    print(len(entries), "files analyzed")
    sys.exit(status)


main()
