"""The result of one check; a check that raises has failed."""

from collections.abc import Awaitable
from enum import StrEnum

from msgspec import Struct

from chimera_s1.domain.errors import ChimeraError


class CheckGrade(StrEnum):
    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


class CheckResult(Struct, frozen=True):
    """One line of `chimera-s1 doctor`; *remedy* says what to do, empty for nothing."""

    name: str
    grade: CheckGrade
    detail: str
    remedy: str = ""


async def run_check(name: str, check: Awaitable[CheckResult], remedy: str) -> CheckResult:
    """The result of *check*; a `ChimeraError` is a FAIL with *remedy*."""
    try:
        return await check
    except ChimeraError as error:
        return CheckResult(name, CheckGrade.FAIL, str(error), remedy)
