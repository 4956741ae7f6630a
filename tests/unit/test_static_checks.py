"""Types, lint and format hold for source and tests, with the settings of pyproject.toml."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "check",
    ["mypy", "ruff check", "ruff format --check"],
)
def test_a_static_check_has_no_remark(check: str) -> None:
    """The tool exits with 0; its remarks are the message of a failure."""
    result = subprocess.run(
        [sys.executable, "-m", *check.split()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stdout + result.stderr
