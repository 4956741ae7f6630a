"""The key that orders are signed with: one that works stays in use until another one works."""

import anyio
import anyio.lowlevel
import pytest

from chimera_s1.adapters.binance.account_key import KEY_RETRY_S, AccountKey, LastGoodKey
from chimera_s1.adapters.binance.http.signing import Credentials, Secret, Signer
from chimera_s1.domain.errors import (
    ChimeraError,
    ClockUncertainError,
    ConfigurationError,
    ExchangeRefusedError,
    ExchangeUnavailableError,
    OtherAccountError,
)
from tests.virtual_time import LoopClock, on_virtual_time


def key(secret: str, account: str = "live:1") -> AccountKey:
    return AccountKey(Signer(Credentials(Secret("k"), Secret(secret)), lambda: 0.0), account)


OLD, NEW, OTHER = key("old"), key("new"), key("other", "live:2")
REFUSED = ExchangeRefusedError("-2015 invalid API-key")
UNREADABLE = ConfigurationError("invalid API key: copy it again")
UNAVAILABLE = ExchangeUnavailableError("503")
UNCERTAIN = ClockUncertainError("the clock is not measured yet")


def any_account(_: str) -> None:
    """The ledger is bound to none."""


class Settings:
    """Attributes:
    now: The key, or what reading it and asking for its account raises.
    asked: So often.
    """

    def __init__(self, now: AccountKey | ChimeraError) -> None:
        self.now = now
        self.asked = 0
        self.answers = anyio.Event()
        self.answers.set()

    async def __call__(self) -> AccountKey:
        self.asked += 1
        await self.answers.wait()
        if isinstance(self.now, ChimeraError):
            raise self.now
        return self.now


@pytest.mark.parametrize("new", [REFUSED, UNREADABLE, UNAVAILABLE, UNCERTAIN, OTHER])
@on_virtual_time
async def test_a_key_that_cannot_be_used_leaves_the_old_one_in_use(
    new: AccountKey | ChimeraError,
) -> None:
    """Else a slip in a file blocks every cancel, and the orders seem absent at another account."""
    settings = Settings(OLD)
    used = LastGoodKey(settings, any_account)
    assert await used() is OLD
    settings.now = new
    assert await used() is OLD
    settings.now = NEW
    await LoopClock().sleep_ms(KEY_RETRY_S * 1000)
    assert await used() is NEW


@pytest.mark.parametrize("problem", [REFUSED, UNREADABLE, UNAVAILABLE])
@on_virtual_time
async def test_a_first_key_that_does_not_work_is_not_asked_for_with_each_query(
    problem: ChimeraError,
) -> None:
    """Readers stop at two kinds of errors; any other would end their worker."""
    settings = Settings(problem)
    used = LastGoodKey(settings, any_account)
    for _ in range(20):
        with pytest.raises((ExchangeRefusedError, ExchangeUnavailableError), match=str(problem)):
            await used()
    assert settings.asked == 1
    settings.now = NEW
    await LoopClock().sleep_ms(KEY_RETRY_S * 1000)
    assert await used() is NEW


@on_virtual_time
async def test_a_clock_that_is_not_measured_yet_costs_no_wait() -> None:
    settings = Settings(UNCERTAIN)
    used = LastGoodKey(settings, any_account)
    with pytest.raises(ClockUncertainError):
        await used()
    settings.now = NEW
    assert await used() is NEW


@on_virtual_time
async def test_orders_do_not_wait_while_a_new_key_is_tried() -> None:
    settings = Settings(OLD)
    used = LastGoodKey(settings, any_account)
    await used()
    settings.now, settings.answers = NEW, anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(used)
        await anyio.lowlevel.checkpoint()
        assert settings.asked == 2
        assert await used() is OLD
        settings.answers.set()
    assert await used() is NEW


@on_virtual_time
async def test_a_key_of_another_account_than_the_ledger_is_not_used() -> None:
    settings, ledger_account = Settings(OTHER), "live:1"

    def use_account(account: str) -> None:
        if account != ledger_account:
            raise OtherAccountError(f"the ledger belongs to {ledger_account}, the key to {account}")

    used = LastGoodKey(settings, use_account)
    for _ in range(2):
        with pytest.raises(OtherAccountError, match="the ledger belongs to live:1"):
            await used()
    settings.now = OLD
    await LoopClock().sleep_ms(KEY_RETRY_S * 1000)
    assert await used() is OLD


@on_virtual_time
async def test_a_key_in_use_is_given_up_when_the_ledger_is_bound_to_another_account() -> None:
    """It was used before the ledger was read, or another instance has bound the ledger."""
    accounts: list[str] = []

    def use_account(account: str) -> None:
        accounts.append(account)
        if len(accounts) > 1:
            raise OtherAccountError("the ledger belongs to live:2")

    used = LastGoodKey(Settings(OLD), use_account)
    assert await used() is OLD
    with pytest.raises(OtherAccountError):
        await used()
    assert accounts == ["live:1", "live:1"]
