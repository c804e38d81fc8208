"""Which tests are to run in the machine of tools/rdma-lab, and whether they did.

rdma.py plan RESULTS FILTER     prints the test assemblies that skipped tests for want of RDMA, one a line, and writes those tests to the file FILTER, as a filter of vstest
rdma.py check RESULTS LAB       fails unless every one of those tests ran in the machine, whose results are in the folder LAB, and passed"""
import os
import sys

import results


def wanted(folder):
    """RDMA tests are those with `Verbs` or `Rdma` in their namespace, class or name."""
    return [test for test in results.read(folder) if test.skipped and ("Verbs" in test.method or "Rdma" in test.method)]


def plan(folder, filter_file):
    tests = wanted(folder)
    if not tests:
        # With devices here nothing is skipped, and then there is nothing left to run.
        here = os.listdir("/sys/class/infiniband") if os.path.isdir("/sys/class/infiniband") else []
        return None if here else "no test was skipped for want of an RDMA device, and there is none here: are the RDMA tests gone?"
    with open(filter_file, "w", encoding="utf-8") as file:
        file.write("|".join(f"FullyQualifiedName={method}" for method in sorted({test.method for test in tests})))
    print("\n".join(sorted({test.assembly for test in tests})))


def check(folder, lab):
    ran = [test for test in results.read(lab)]
    problems = [f"{test.name}: skipped there too: {test.reason}" for test in ran if test.skipped]
    problems += [f"{test.name}: {test.outcome}: {test.reason}" for test in ran if not test.skipped and not test.passed]
    there = {test.method for test in ran}
    problems += [f"{method}: did not run there" for method in sorted({test.method for test in wanted(folder)} - there)]
    print(f"{sum(test.passed for test in ran)} RDMA tests passed in the machine")
    return "\n".join(problems)


problem = {"plan": plan, "check": check}[sys.argv[1]](*sys.argv[2:])
if problem:
    raise SystemExit(problem)
