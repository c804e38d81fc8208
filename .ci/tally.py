"""Counts tests over all .trx files of a folder: `N passed, N failed`, and `, N skipped` when there are any. Exit code 1 when a test failed or none ran."""
import pathlib
import sys
import xml.etree.ElementTree as tree

SPACE = "{http://microsoft.com/schemas/VisualStudio/TeamTest/2010}"

passed = failed = skipped = 0
for file in pathlib.Path(sys.argv[1]).rglob("*.trx"):
    counters = tree.parse(file).getroot().find(f"{SPACE}ResultSummary/{SPACE}Counters")
    total, executed, good = (int(counters.get(name)) for name in ("total", "executed", "passed"))
    # Whatever was executed and did not pass (failed, error, timeout, aborted) failed; what was not executed was skipped.
    passed, failed, skipped = passed + good, failed + executed - good, skipped + total - executed

print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
sys.exit(1 if failed or not passed else 0)
