"""What one check found, and how a check that raises becomes a finding."""

from collections.abc import Awaitable
from enum import StrEnum

from msgspec import Struct

from chimera_s1.domain.errors import ChimeraError


class CheckGrade(StrEnum):
    """Whether the service can work with it."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


class CheckResult(Struct, frozen=True):
    """One line of `chimera-s1 doctor`.

    Attributes:
        name: What was looked at, `redis`.

        grade: How it is.

        detail: What is so, in one sentence.

        remedy: What to do; empty where nothing is to be done.
    """

    name: str
    grade: CheckGrade
    detail: str
    remedy: str = ""


async def run_check(name: str, check: Awaitable[CheckResult], remedy: str) -> CheckResult:
    """What *check* finds; an error of ours is a FAIL with *remedy*."""
    try:
        return await check
    except ChimeraError as error:
        return CheckResult(name, CheckGrade.FAIL, str(error), remedy)
