"""When to reconnect after a loss, and when a connection is FATAL.

`retry_count` returns to 0 only after a healthy connection, which has delivered data and lived on
for a while: reset at the handshake or at the first data, a venue that accepts and drops would be
dialled in a hot loop, and never be FATAL.
"""

from msgspec import Struct, structs

from chimera_s1.domain.operations.backoff import Backoff

RECONNECT_GRACE_MS = 10_000
"""How long a loss may last before an operator is needed: four dials with the default waits."""


class ReconnectPolicy(Struct, frozen=True):
    """Back-off for the first *retries_max* retries; then FATAL, with a dial every *scan_ms*.

    A connection is healthy *healthy_ms* after its first data.
    """

    backoff: Backoff = Backoff()
    retries_max: int = 10
    scan_ms: int = 10_000
    healthy_ms: int = 30_000


class ReconnectState(Struct, frozen=True):
    """Failures since the connection was last healthy; *fatal* from the failure after `retries_max`
    until it is healthy again.
    """

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


def after_healthy() -> ReconnectState:
    """The state of a connection that is healthy."""
    return ReconnectState()
