"""What a run says at its end: the recordings of originals (tests/test_golden.py) that no system here answers for.

And the mark of slow tests.
"""


def pytest_terminal_summary(terminalreporter):
    def of_recordings(outcome):
        reports = terminalreporter.stats.get(outcome, [])
        return [report for report in reports if "test_golden.py::test_recording[" in report.nodeid]

    skipped = [report.longrepr[2] for report in of_recordings("skipped")]
    missed = sorted(reason.rpartition("not covered: ")[2] for reason in skipped if "not covered: " in reason)
    if missed or of_recordings("passed") or of_recordings("failed"):
        covered = len(of_recordings("passed")) + len(of_recordings("failed"))
        terminalreporter.section("parity with the original code")
        terminalreporter.line(f"{covered} recordings covered, {len(missed)} not covered{':' if missed else ''}")
        for name in missed:
            terminalreporter.line(f"  {name}")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes ten seconds or more; leave it out with -m 'not slow'")
