#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""count.py - what a meson test run amounts to, case by case

    count.py LOG.junit.xml LOG.json [FOLDER]

Cases are the testcase elements of meson's JUnit file: each line of a TAP
binary, or the test itself if it speaks by exit status.  Meson 1.0 writes no
failure there for a test that timed out or crashed between two cases, so every
test that its JSON log calls bad, and that has no bad case, adds one.

Prints a line for each failure and for each skip with its reason, the end of what
failed tests said, then "PASSED FAILED SKIPPED".  All that they said is kept in
FOLDER, which is made then: what fails once in a while cannot be asked again.
"""
import json
import os
import re
import sys
import xml.etree.ElementTree as ET

BAD = {"FAIL", "ERROR", "TIMEOUT", "INTERRUPT", "UNEXPECTEDPASS"}
TAIL = 60  # lines of output


def cases(junit):
    """Yield (test, case, outcome) for each testcase; case is None when it is
    the test itself.  Names as in the JSON log."""
    for suite in ET.parse(junit).getroot().iter("testsuite"):
        for case in suite.iter("testcase"):
            if case.find("failure") is not None or case.find("error") is not None:
                outcome = "failed"
            elif case.find("skipped") is not None:
                outcome = "skipped"
            else:
                outcome = "passed"
            if "classname" in case.attrib and "." in suite.get("name"):
                yield suite.get("name").split(".", 1)[1], case.get("name"), outcome
            else:
                yield case.get("name"), None, outcome


def skip_reason(test):
    """TAP says it behind the plan; a script says it last."""
    out = (test.get("stdout", "") + test.get("stderr", "")).strip()
    plan = re.search(r"^1\.\.0\s*#\s*skip\S*\s*(.*)", out, re.I | re.M)
    if plan:
        return plan.group(1)
    return out.splitlines()[-1] if out else "no reason given"


def show(test, folder):
    """The last lines of its output, indented; all of them in the folder."""
    out = test.get("stdout", "") + test.get("stderr", "")
    for line in out.rstrip().splitlines()[-TAIL:]:
        print("    | " + line)
    if folder:
        os.makedirs(folder, exist_ok=True)
        name = os.path.join(folder, re.sub(r"[^\w.-]+", "_", test["name"]) + ".log")
        with open(name, "w", encoding="utf-8", errors="replace") as f:
            f.write(out)
        print(f"    all of it in {name}")


def main(junit, log, folder=None):
    with open(log, encoding="utf-8") as f:
        tests = {t["name"]: t for t in map(json.loads, f)}
    n = {"passed": 0, "failed": 0, "skipped": 0}
    blamed = set()
    for name, case, outcome in cases(junit):
        test = tests.get(name, {})
        if outcome == "passed" and case is None and test.get("result") in BAD:
            outcome = "failed"
        n[outcome] += 1
        if outcome == "failed":
            blamed.add(name)
            print(f"FAILED  {name}{': ' + case if case else ''}")
        elif outcome == "skipped":
            print(f"skipped {name}: {case or skip_reason(test)}")
    for name, test in tests.items():
        if test["result"] in BAD and name not in blamed:
            n["failed"] += 1
            print(f"FAILED  {name}: {test['result']} (status {test.get('returncode')})")
            blamed.add(name)
    for name in sorted(blamed & tests.keys()):
        print(f"output of {name}, its end:")
        show(tests[name], folder)
    print(n["passed"], n["failed"], n["skipped"])


if __name__ == "__main__":
    main(*sys.argv[1:4])
