"""Takes the claim on the exchange account for the ledger of the settings."""

import os
from collections.abc import Mapping
from pathlib import Path

import typer
from msgspec import Struct

from chimera_s1.adapters.binance.http.weight_budget import weight_budgets
from chimera_s1.adapters.redis.account_claims import RedisAccountClaims
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.capabilities.treasury.treasury_ledger import TREASURY_LEDGER
from chimera_s1.app.capabilities.treasury.wiring import build_gateway, treasury_enabled
from chimera_s1.app.cli.shared.options import state_directory
from chimera_s1.app.cli.shared.output import print_line, print_status
from chimera_s1.app.cli.shared.stream_store_location import connected, require_stream_store
from chimera_s1.app.service_settings import Settings, load_settings
from chimera_s1.app.state_files import read_demo_settings, read_demo_state
from chimera_s1.app.stores import open_stores, sqlite_path
from chimera_s1.app.utc_time import format_utc
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.ledger.commit import LedgerHead
from chimera_s1.domain.ports.installation_store import InstallationFact
from chimera_s1.domain.printable import escape_unprintable
from chimera_s1.domain.treasury.account_claim import AccountClaim, OfOtherAccount

_CONSEQUENCES = """\
Then this ledger alone sends transfers of the account. A key that is finished in another
ledger is new here: retried, it moves money again. So first let the other installation finish
its transfers, stop it, and make sure that clients do not retry what it has finished."""

_RESTORE = (
    "it is an old backup, or a copy of a ledger in use; stop the other copy, and restore the "
    "newest ledger; if it is lost, repeat the command with --accept-missing-commits"
)


class _Ledger(Struct, frozen=True):
    installation: str
    account: str
    commits: int
    place: str


def settings_to_take(state_dir: Path | None, environ: Mapping[str, str]) -> Settings:
    """Those of the demo that runs in the state directory if *environ* has no exchange key."""
    directory = state_directory(state_dir, environ)
    if not environ.get("S1_BINANCE_KEY") and read_demo_state(directory) is not None:
        return load_settings({**read_demo_settings(directory), "S1_STATE_DIR": str(directory)})
    return load_settings({**environ, "S1_STATE_DIR": str(directory)})


async def take_account(state_dir: Path | None, *, assume_yes: bool, accept_missing: bool) -> None:
    """Show what is claimed by which installation, ask, and take the account; with *accept_missing*
    although the ledger lacks commits that its installation has written.

    Raises:
        ConfigurationError: There is no exchange key, no ledger or no Redis, the ledger belongs to
            another account, or it lacks commits and that is not accepted.
        ExchangeRefusedError, ExchangeUnavailableError: The account of the key cannot be read.
        PublisherUnavailableError: Redis does not answer.
        StoreUnavailableError, LedgerDamagedError: The ledger cannot be read.
    """
    settings = settings_to_take(state_dir, os.environ)
    if not treasury_enabled(settings):
        raise ConfigurationError(
            "no exchange key, so there is no account to take: set S1_BINANCE_KEY and "
            "S1_BINANCE_SECRET as for the service"
        )
    ledger, account = await _read_ledger(settings), await _read_account(settings)
    if ledger.account not in {"", account}:
        raise ConfigurationError(OfOtherAccount(account, ledger.account).reason_to_hold)
    location = require_stream_store(None, settings, settings.state_dir)
    async with connected(location, settings) as client:
        claims = RedisAccountClaims(client)
        before = await claims.read(account)
        print_line(f"account      {account}, claims in {location}")
        print_line(f"this ledger  installation {ledger.installation}, {ledger.commits} commits")
        print_line(f"             {ledger.place}")
        print_line(f"claimed by   {_holder(before, ledger)}")
        reached = await claims.reached(account, ledger.installation)
        if reached is not None and await _lacks(settings, reached):
            print_line(f"             {_lacking(reached)}")
            if not accept_missing:
                raise ConfigurationError(f"{_lacking(reached)}: {_RESTORE}")
        print_line(_CONSEQUENCES)
        if not assume_yes:
            typer.confirm("Take the account for this ledger?", abort=True)
        if await claims.reached(account, ledger.installation) != reached:
            raise ConfigurationError(
                "meanwhile this installation has written commits: if another copy of the ledger "
                "runs, stop it; then run the command again"
            )
        claim = AccountClaim(
            installation=ledger.installation, taken_at=SystemClock().now_ms(), by_operator=True
        )
        replaced = await claims.replace(account, claim)
        if replaced != before:
            print_status(f"meanwhile the claim had changed; replaced: {_holder(replaced, ledger)}")
    print_status(
        f"account {account} is claimed by installation {ledger.installation}; a running service "
        "notices it within 2 s"
    )


async def _read_ledger(settings: Settings) -> _Ledger:
    place = ", ".join(settings.db_arango_uri) or str(sqlite_path(settings))
    async with open_stores(settings, SystemClock(), read_only=True) as stores:
        installation = await stores.installation.find(InstallationFact.ID)
        if not installation:
            raise ConfigurationError(
                f"{place}: the ledger has no installation id yet; start the service once with the "
                "exchange key, it records one"
            )
        account = await stores.installation.find(InstallationFact.ACCOUNT)
        head = await stores.ledger(TREASURY_LEDGER).head()
    return _Ledger(installation, account, head.seq, place)


async def _lacks(settings: Settings, reached: LedgerHead) -> bool:
    async with open_stores(settings, SystemClock(), read_only=True) as stores:
        found = await stores.ledger(TREASURY_LEDGER).read(reached.seq - 1, 1)
    return not found or found[0].commit.hash != reached.hash


def _lacking(reached: LedgerHead) -> str:
    return (
        f"this ledger lacks commit {reached.seq} (hash {escape_unprintable(reached.hash[:12])}), "
        "which its installation has written"
    )


async def _read_account(settings: Settings) -> str:
    clock = SystemClock()
    budgets = weight_budgets(clock)
    async with build_gateway(settings, budgets, lambda: float(clock.now_ms())) as gateway:
        return f"{settings.binance_env.value}:{await gateway.account_uid()}"


def _holder(claim: AccountClaim | None, ledger: _Ledger) -> str:
    if claim is None:
        return "no installation"
    who = escape_unprintable(claim.installation)
    own = " (this ledger)" if claim.installation == ledger.installation else ""
    since = f", since {format_utc(claim.taken_at)}" if claim.taken_at else ""
    return f"installation {who}{own}{since}"
