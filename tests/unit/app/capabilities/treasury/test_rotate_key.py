"""A new exchange key is used when the exchange accepts it for the same account."""

import pytest

from chimera_s1.app.capabilities.treasury.rotate_key import (
    CHECK_INTERVAL_MS,
    RETRY_INTERVAL_MS,
    RotateKey,
)
from chimera_s1.domain.errors import (
    ChimeraError,
    ConfigurationError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
    StoreUnavailableError,
)
from chimera_s1.domain.ports.operations_log import EventDetail
from tests.fakes.manual_clock import ManualClock

ACCOUNT, OTHER_ACCOUNT = "live:1", "live:2"


class Exchange:
    """Knows the accounts of keys, or raises *accounts*' error."""

    def __init__(self) -> None:
        self.accounts: dict[str, str | ChimeraError] = {"old": ACCOUNT, "new": ACCOUNT}
        self.asked: list[str] = []

    async def account_of(self, key: str) -> str:
        self.asked.append(key)
        answer = self.accounts.get(key, ExchangeRefusedError("401 -2015"))
        if isinstance(answer, ChimeraError):
            raise answer
        return answer


class World:
    def __init__(self) -> None:
        self.exchange = Exchange()
        self.clock = ManualClock()
        self.in_files: str | ConfigurationError = "old"
        self.in_use = "old"
        self.account: str | ChimeraError = ACCOUNT
        self.account_in_use = ""
        self.events: list[tuple[str, EventDetail]] = []
        self.rotation = RotateKey(
            self.in_use,
            self.clock,
            read=self._read,
            account_of=self.exchange.account_of,
            expected_account=self._expected_account,
            use=self._use,
            record_event=lambda kind, detail: self.events.append((kind, detail)),
        )

    async def check(self, times: int = 1) -> str:
        """Look at the files as often as that; why their key is not in use."""
        for _ in range(times):
            assert await self.rotation.check() == CHECK_INTERVAL_MS
            await self.clock.advance(CHECK_INTERVAL_MS)
        return self.rotation.problem

    def _read(self) -> str:
        if isinstance(self.in_files, ConfigurationError):
            raise self.in_files
        return self.in_files

    async def _expected_account(self) -> str:
        if isinstance(self.account, ChimeraError):
            raise self.account
        return self.account

    def _use(self, key: str, account: str) -> None:
        self.in_use, self.account_in_use = key, account


@pytest.fixture
def world() -> World:
    return World()


async def test_unchanged_files_ask_the_exchange_nothing(world: World) -> None:
    assert await world.check(3) == ""
    assert not world.exchange.asked


async def test_a_new_key_of_the_same_account_is_used(world: World) -> None:
    world.in_files = "new"
    assert await world.check(3) == ""
    assert (world.in_use, world.account_in_use) == ("new", ACCOUNT)
    assert world.exchange.asked == ["new"]
    assert world.events == [("treasury.key_replaced", {"account": ACCOUNT})]


async def test_half_a_change_is_not_tried(world: World) -> None:
    """The key's file has changed, its secret's not yet."""
    world.in_files = "new key, old secret"
    assert await world.check() == ""
    world.in_files = "new"
    assert await world.check(2) == ""
    assert (world.in_use, world.exchange.asked) == ("new", ["new"])


async def test_a_key_of_another_account_is_never_used(world: World) -> None:
    """Its movements would be recorded as those of the ledger's account."""
    world.exchange.accounts["new"] = OTHER_ACCOUNT
    world.in_files = "new"
    problem = await world.check(3)
    assert f"belongs to account {OTHER_ACCOUNT}, and this ledger's is {ACCOUNT}" in problem
    assert (world.in_use, world.events, world.exchange.asked) == ("old", [], ["new"])


async def test_a_refused_key_is_tried_again_each_minute_and_at_a_change(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.in_files = "typo"
    minute = round(RETRY_INTERVAL_MS / CHECK_INTERVAL_MS)
    problem = await world.check(1 + minute)
    assert problem == "the exchange refuses the new key in the files: 401 -2015"
    assert world.exchange.asked == ["typo"]
    await world.check()
    assert (world.in_use, world.exchange.asked) == ("old", ["typo", "typo"])
    assert len(caplog.records) == 1

    world.in_files = "new"
    assert await world.check(2) == ""
    assert world.in_use == "new"


async def test_an_unavailable_exchange_delays_the_change(world: World) -> None:
    world.exchange.accounts["new"] = ExchangeUnavailableError("no reply")
    world.in_files = "new"
    assert await world.check(3) == "the new key in the files is not in use yet: no reply"
    world.exchange.accounts["new"] = ACCOUNT
    assert await world.check() == ""
    assert world.in_use == "new"


async def test_the_first_key_that_works_is_used_although_no_account_is_known(world: World) -> None:
    """Started with a revoked key: the exchange has named no account."""
    world.account = ""
    world.in_files = "new"
    assert await world.check(2) == ""
    assert (world.in_use, world.account_in_use) == ("new", ACCOUNT)


async def test_a_new_key_waits_while_the_ledgers_account_cannot_be_read(world: World) -> None:
    world.account = StoreUnavailableError("database is locked")
    world.in_files = "new"
    assert "is not in use yet: database is locked" in await world.check(3)
    assert world.in_use == "old"
    world.account = ACCOUNT
    assert await world.check() == ""
    assert world.in_use == "new"


async def test_files_that_cannot_be_a_key_are_a_problem_until_they_are_back(world: World) -> None:
    world.in_files = ConfigurationError("invalid API key")
    assert await world.check() == "the new key in the files cannot be used: invalid API key"
    world.in_files = "old"
    assert await world.check() == ""
    assert not world.exchange.asked
