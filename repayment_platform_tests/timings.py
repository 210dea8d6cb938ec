"""Where the time of a test run went: told at the end of each.

What belongs here: adding up what pytest measures, over all workers. What does not: judging it; no
test may fail because it took long.
"""

import time
from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest

SHOWN_TESTS, SHOWN_FIXTURES = 30, 10
_of_fixtures: Counter[str] = Counter()
_running: list[float] = []
"""Of the fixtures that are being set up, what those have taken that they asked for."""


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any],
) -> Generator[None, object, object]:
    """Count for each fixture its own time, without that of the fixtures it asks for."""
    began = time.perf_counter()
    _running.append(0.0)
    try:
        return (yield)
    finally:
        took = time.perf_counter() - began
        _of_fixtures[fixturedef.argname] += took - _running.pop()
        if _running:
            _running[-1] += took


def pytest_sessionfinish(session: pytest.Session) -> None:
    if output := getattr(session.config, "workeroutput", None):
        output["seconds_of_fixtures"] = dict(_of_fixtures)


class OfWorkers:
    """Hears of xdist's workers, where there are any."""

    def pytest_testnodedown(self, node: Any) -> None:
        _of_fixtures.update(getattr(node, "workeroutput", {}).get("seconds_of_fixtures", {}))


def pytest_configure(config: pytest.Config) -> None:
    if config.pluginmanager.has_plugin("xdist"):
        config.pluginmanager.register(OfWorkers())


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The slowest tests, and how much of the time went into fixtures."""
    of_tests: Counter[str] = Counter()
    of_phases: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                of_tests[report.nodeid] += report.duration
                of_phases["tests" if report.when == "call" else "fixtures"] += report.duration
    if len(of_tests) < SHOWN_TESTS:
        return
    terminalreporter.section(f"slowest {SHOWN_TESTS}, seconds with their fixtures")
    for nodeid, seconds in of_tests.most_common(SHOWN_TESTS):
        terminalreporter.write_line(f"{seconds:7.1f}  {nodeid}")
    spent, total = of_phases["fixtures"], of_phases.total()
    terminalreporter.section(f"fixtures: {spent:.0f} of {total:.0f} s, over all workers")
    for name, seconds in _of_fixtures.most_common(SHOWN_FIXTURES):
        terminalreporter.write_line(f"{seconds:7.1f}  {name}")
