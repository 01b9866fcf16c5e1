"""What no stage of CI has run, and why: read from the JUnit files of all its pytest runs.

    skips.py FILE.xml...            a table, then the count; exit code 1 if a test failed, or was
                                    skipped for a reason that a machine for CI can do away with
    skips.py --again FILE.xml...    the skipped tests that another stage may run, one id a line

A test counts once, however often it ran: as failed if it ever failed, else as passed if it ever
passed.
"""

import platform
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections import defaultdict

# What no machine for CI here has. Every other reason is a gap in CI.
SYSTEMS = {"Windows": "Windows", "Darwin": "macOS", "Linux": "Linux"}
OTHERS = [name for system, name in SYSTEMS.items() if system != platform.system()]
FINE = re.compile(rf"needs (a CUDA device|{'|'.join(OTHERS)})$")


def read(files):
    """{test id: {"passed" | "failed" | reason of a skip, ...}}."""
    found = defaultdict(set)
    for file in files:
        for case in ElementTree.parse(file).iter("testcase"):
            skipped = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None:
                outcome = "failed"
            elif skipped is not None:
                outcome = reason(skipped)
            else:
                outcome = "passed"
            found[identifier(case)].add(outcome)
    return found


def reason(skipped):
    """Why a test was skipped; for a whole file pytest says `(file, line, 'Skipped: why')`."""
    whole = re.search(r"'Skipped: (.*)'\)", skipped.text or "")
    return whole[1] if whole else skipped.get("message")


def identifier(case):
    """`tests/a/test_b.py::TestC::test_d[e]`, or the file of a test file that was not collected."""
    file, name = case.get("file"), case.get("name")  # file: of the form xunit1 alone
    if not case.get("classname"):
        return file
    module = file.removesuffix(".py").replace("/", ".")
    classes = case.get("classname").removeprefix(module).strip(".").split(".")
    return "::".join([file, *filter(None, classes), name])


def why_skipped(found):
    """{test id: reason} of the tests, and files of tests, that no stage ran."""
    ran = {test for test, outcomes in found.items() if outcomes & {"passed", "failed"}}
    ran |= {test.partition("::")[0] for test in ran}
    return {test: "; ".join(sorted(found[test])) for test in found if test not in ran}


def report(found):
    """Print the table and the count; whether CI may pass."""
    failed = sorted(test for test, outcomes in found.items() if "failed" in outcomes)
    skipped = why_skipped(found)
    by_reason = defaultdict(list)
    for test, reason in skipped.items():
        by_reason[reason].append(test)
    for test in failed:
        print(f"failed   {test}")
    print("skipped  why" if skipped else "No test was skipped.")
    gaps = 0
    for reason, tests in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        gap = not FINE.match(reason)
        gaps += gap
        print(f"{len(tests):7}  {reason}{'   <- CI must run these' if gap else ''}")
        for test in sorted(tests):
            print(f"         {test}")
    passed = sum("passed" in outcomes and "failed" not in outcomes for outcomes in found.values())
    print(f"{passed} passed, {len(failed)} failed, {len(skipped)} skipped")
    return passed > 0 and not failed and not gaps


if __name__ == "__main__":
    if sys.argv[1] == "--again":
        skipped = why_skipped(read(sys.argv[2:]))
        print(*(test for test, reason in skipped.items() if not FINE.match(reason)), sep="\n")
    else:
        sys.exit(not report(read(sys.argv[1:])))
