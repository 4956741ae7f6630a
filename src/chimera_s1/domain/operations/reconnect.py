"""When to reconnect after a loss, and when a connection is FATAL.

`retry_count` returns to 0 only after data: reset at the handshake, a venue that accepts and drops
at once would cause a hot loop.
"""

from msgspec import Struct, structs

from chimera_s1.domain.operations.backoff import Backoff


class ReconnectPolicy(Struct, frozen=True):
    """Back-off for the first *retries_max* retries; then FATAL, with a dial every *scan_ms*."""

    backoff: Backoff = Backoff()
    retries_max: int = 10
    scan_ms: int = 10_000


class ReconnectState(Struct, frozen=True):
    """Failures since the last data; *fatal* from the failure after `retries_max` until data."""

    retry_count: int = 0
    fatal: bool = False


class RetryConnection(Struct, frozen=True):
    """Dial again after *wait_ms*."""

    state: ReconnectState
    wait_ms: float


class RetriesExhausted(Struct, frozen=True):
    """The last allowed retry failed: report FATAL, then dial every *wait_ms*."""

    state: ReconnectState
    wait_ms: float


def after_failure(
    state: ReconnectState, policy: ReconnectPolicy, draw: float
) -> RetryConnection | RetriesExhausted:
    """What to do after a failed dial or a lost connection; *draw* is uniform in [0, 1)."""
    count = state.retry_count + 1
    if state.fatal:
        return RetryConnection(ReconnectState(count, fatal=True), policy.scan_ms)
    if count > policy.retries_max:
        return RetriesExhausted(ReconnectState(count, fatal=True), policy.scan_ms)
    return RetryConnection(
        structs.replace(state, retry_count=count), policy.backoff.wait_ms(count - 1, draw)
    )


def after_data() -> ReconnectState:
    """The state after a data message."""
    return ReconnectState()
