"""The tests in the .trx files of a folder."""
import pathlib
import typing
import xml.etree.ElementTree as tree

LINES = 8
"""Of a message: what was expected and what was found are among them."""

SPACE = "{http://microsoft.com/schemas/VisualStudio/TeamTest/2010}"


class Result(typing.NamedTuple):
    assembly: str
    """Path of the test project's dll."""
    method: str
    """Namespace, class and method."""
    name: str
    """Also the arguments, when there are any."""
    outcome: str
    """`Passed`, `NotExecuted`, and several kinds of failure."""
    reason: str
    """Of a skip or a failure: its first lines."""

    @property
    def skipped(self):
        return self.outcome == "NotExecuted"

    @property
    def passed(self):
        return self.outcome == "Passed"


def read(folder):
    """All results of a folder and those below it. A file that says less or more than it counts is an error: a run that was cut off is not a good one."""
    results = []
    for file in sorted(pathlib.Path(folder).rglob("*.trx")):
        root = tree.parse(file).getroot()
        tests = {}
        for test in root.iter(f"{SPACE}UnitTest"):
            method = test.find(f"{SPACE}TestMethod")
            tests[test.get("id")] = (method.get("codeBase"), f"{method.get('className')}.{method.get('name').split('(')[0]}")
        found = []
        for result in root.iter(f"{SPACE}UnitTestResult"):
            message = result.findtext(f"{SPACE}Output/{SPACE}ErrorInfo/{SPACE}Message") or ""
            assembly, method = tests[result.get("testId")]
            found.append(Result(assembly, method, result.get("testName"), result.get("outcome"), "\n    ".join(message.strip().split("\n")[:LINES])))
        counted = int(root.find(f"{SPACE}ResultSummary/{SPACE}Counters").get("total"))
        if counted != len(found):
            raise SystemExit(f"{file} counts {counted} tests and lists {len(found)}")
        results += found
    return results
