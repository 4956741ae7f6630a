"""When to dial again after a connection was lost, and when to say that it is lost for good.

`retry_count` returns to 0 only when data was seen: a venue that accepts and drops at once would
turn a reset at the handshake into a hot loop.
"""

from msgspec import Struct, structs

from chimera_s1.domain.operations.backoff import Backoff


class ReconnectPolicy(Struct, frozen=True):
    """Attributes:
    backoff: Waits between the first `retries_max` attempts.

    retries_max: `N_max`; one more failure is FATAL.

    scan_ms: Wait between attempts once FATAL.
    """

    backoff: Backoff = Backoff()
    retries_max: int = 10
    scan_ms: int = 10_000


class ReconnectState(Struct, frozen=True):
    """Attributes:
    retry_count: Failures since the last healthy moment.

    fatal: True from the failure after `retries_max` until data flows again.
    """

    retry_count: int = 0
    fatal: bool = False


class RetryConnection(Struct, frozen=True):
    """Dial again after *wait_ms*."""

    state: ReconnectState
    wait_ms: float


class RetriesExhausted(Struct, frozen=True):
    """The last allowed retry failed: raise the alarm, then go on dialling every *wait_ms*."""

    state: ReconnectState
    wait_ms: float


def after_failure(
    state: ReconnectState, policy: ReconnectPolicy, draw: float
) -> RetryConnection | RetriesExhausted:
    """What to do after a failed dial or a lost connection.

    Args:
        state: Before the loss.

        policy: Limits in force.

        draw: Uniform in [0, 1), for the jitter.
    """
    count = state.retry_count + 1
    if state.fatal:
        return RetryConnection(ReconnectState(count, fatal=True), policy.scan_ms)
    if count > policy.retries_max:
        return RetriesExhausted(ReconnectState(count, fatal=True), policy.scan_ms)
    return RetryConnection(
        structs.replace(state, retry_count=count), policy.backoff.wait_ms(count - 1, draw)
    )


def after_data() -> ReconnectState:
    """The state once a data message arrived: healthy, nothing owed."""
    return ReconnectState()
