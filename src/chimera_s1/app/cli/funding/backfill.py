"""Requests a backfill of the funding history from the service, and shows its progress."""

import os
from collections.abc import Callable
from functools import partial

import msgspec
from msgspec import Struct

from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.cli.shared.count_progress import CountProgress
from chimera_s1.app.cli.shared.output import print_line, print_status
from chimera_s1.app.cli.shared.service_access import ServiceAccess, find_service
from chimera_s1.app.cli.shared.service_call import ServiceCallError, call_service
from chimera_s1.app.service_settings import Settings
from chimera_s1.app.utc_time import format_minute
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.operations.schedule import HOUR_MS
from chimera_s1.domain.ports.clock import Clock

PATH = "/xchg/funding/backfill"
POLL_MS = 500
PATIENCE_MS = 60_000
"""How long the service may be away before the command gives up; the backfill itself does not."""

_DONE = "done"


class _Progress(Struct, frozen=True):
    """A backfill as the service shows it; times are epoch ms."""

    state: str
    days: int
    start: int
    end: int
    done_from: int
    rows: int
    requests: int
    problem: str


async def backfill_and_wait(settings: Settings, url: str | None, days: int) -> None:
    """Return when the history of the last *days* is read.

    Raises:
        ConfigurationError: There is no service or no token.
        InvalidValueError: The service does not allow so many days.
        ServiceCallError: It does not answer, or refuses.
    """
    find = partial(find_service, url, os.environ, settings, scope=Scope.JOBS_RUN)
    clock = SystemClock()
    body = msgspec.json.encode({"days": days})
    progress = await call_service(find(), "POST", PATH, _Progress, body)
    if progress.days != days:
        print_status(f"A backfill of {progress.days} days is not done yet; showing that one.")
    with CountProgress("backfill", "hours", _hours(progress)[1], clock) as bar:
        while progress.state != _DONE:
            bar.show(_hours(progress)[0], _note(progress))
            await clock.sleep_ms(POLL_MS)
            progress = await _next_progress(find, clock)
        bar.show(_hours(progress)[0])
    print_line(
        f"funding of {progress.days} days is read: {format_minute(progress.start)} to "
        f"{format_minute(progress.end)} UTC, {_stored(progress.rows)}, {progress.requests} requests"
    )


async def _next_progress(find: Callable[[], ServiceAccess], clock: Clock) -> _Progress:
    """Of a service that may be restarting; a demo then has another address and another token."""
    give_up_ms = clock.monotonic_ms() + PATIENCE_MS
    said = False
    while True:
        try:
            return await call_service(find(), "GET", PATH, _Progress)
        except (ServiceCallError, ConfigurationError) as error:
            if clock.monotonic_ms() >= give_up_ms:
                raise ServiceCallError(
                    f"{error}; the backfill goes on when the service runs: run this again to see "
                    "its progress"
                ) from error
            if not said:
                print_status(f"{error}; asking again for {PATIENCE_MS // 1_000} s")
                said = True
        await clock.sleep_ms(POLL_MS)


def _hours(progress: _Progress) -> tuple[int, int]:
    """Read, and requested."""
    read = (progress.end - progress.done_from) // HOUR_MS
    return read, (progress.end - progress.start) // HOUR_MS


def _note(progress: _Progress) -> str:
    back_to = f", back to {format_minute(progress.done_from)} UTC, {progress.rows} stored"
    return f"{back_to}; {progress.state}: {progress.problem}" if progress.problem else back_to


def _stored(rows: int) -> str:
    return f"{rows} new or completed records" if rows else "no record was new"
