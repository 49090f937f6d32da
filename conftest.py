"""For all tests: where CI is set, a skipped test is a failed run."""

from __future__ import annotations

import os

import pytest


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a session of CI in which something was left out."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if skipped and os.environ.get("CI"):
        print(f"\n{len(skipped)} skipped: where CI is set nothing is left out")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
