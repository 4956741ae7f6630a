"""What is pending at shutdown: one write that fails does not keep the others from being made."""

from collections.abc import Awaitable, Callable

import anyio
import pytest

from chimera_s1.app import runtime
from chimera_s1.app.capability import PendingWrites
from chimera_s1.domain.errors import PublisherUnavailableError, StoreUnavailableError


async def fails() -> None:
    raise PublisherUnavailableError("the node is down")


async def has_no_store() -> None:
    raise StoreUnavailableError("the ledger's store is down")


async def hangs() -> None:
    await anyio.sleep_forever()


@pytest.mark.parametrize("first", [fails, has_no_store, hangs])
async def test_a_write_that_fails_does_not_keep_the_next_from_being_made(
    first: Callable[[], Awaitable[None]],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is left is named in the log."""
    monkeypatch.setattr(runtime, "FLUSH_TIMEOUT_S", 0.01)
    released: list[str] = []

    async def release() -> None:
        released.append("lease")

    await runtime.flush_pending(
        [
            PendingWrites("states of spot", first, lambda: 3),
            PendingWrites("publisher leases", release, lambda: 0),
        ]
    )

    assert released == ["lease"]
    assert "not written to Redis at shutdown, lost: 3 states of spot" in caplog.text
