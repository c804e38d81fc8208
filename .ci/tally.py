"""Counts tests over all .trx files of a folder: `N passed, N failed`, and `, N skipped` when there are any. Exit code 1 when a test failed or none ran.
A test that was skipped in one run and ran in another counts where it ran."""
import sys

import results

tests = results.read(sys.argv[1])
ran = {test.method for test in tests if not test.skipped}
passed = sum(test.passed for test in tests)
skipped = sum(test.skipped and test.method not in ran for test in tests)
# Whatever was executed and did not pass (failed, error, timeout, aborted) failed.
failed = [test for test in tests if not test.passed and not test.skipped]

# Last, where whoever reads the end of a long log finds them.
for test in failed:
    print(f"{test.outcome}: {test.method} as {test.name}: {test.reason}")

print(f"{passed} passed, {len(failed)} failed" + (f", {skipped} skipped" if skipped else ""))
sys.exit(1 if failed or not passed else 0)
