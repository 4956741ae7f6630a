"""Runs `reconcile`: asks the service, prints what it has found."""

import os
from collections.abc import Iterator

from msgspec import Struct

from chimera_s1.app.cli.shared.output import print_json, print_line
from chimera_s1.app.cli.shared.service_access import find_service
from chimera_s1.app.cli.shared.service_call import call_service
from chimera_s1.app.service_settings import Settings
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.operations.health import count

SHOWN_MAX = 20
"""Lines of one kind; `--json` has all."""


class _Repair(Struct, frozen=True):
    client_order_id: str
    symbol: str
    family: str
    before: str
    after: str


class _Foreign(Struct, frozen=True):
    client_order_id: str
    order_id: str
    symbol: str
    side: str
    type: str
    status: str
    label: str


class _Difference(Struct, frozen=True):
    kind: str
    subject: str
    text: str


class _FirstPosition(Struct, frozen=True):
    symbol: str
    position_side: str
    qty: str


class _Balance(Struct, frozen=True):
    wallet: str
    asset: str
    before: str
    after: str


class _Venue(Struct, frozen=True):
    venue: str
    matched: int
    repaired: tuple[_Repair, ...]
    missed_fills: int
    foreign_total: int
    foreign: tuple[_Foreign, ...]
    young: tuple[str, ...]
    differences: tuple[_Difference, ...]
    first_positions: tuple[_FirstPosition, ...]
    corrected_balances: tuple[_Balance, ...]
    undecided: bool
    problems: tuple[str, ...]


class Reconciled(Struct, frozen=True):
    """The body of the reply."""

    agrees: bool
    summary: str
    began_at: int
    ended_at: int
    venues: tuple[_Venue, ...]


async def reconcile_and_print(settings: Settings, url: str | None, as_json: bool) -> bool:
    """Print the result; whether everything agrees."""
    service = find_service(url, os.environ, settings, scope=Scope.ORDERS_TRADE)
    result = await call_service(service, "POST", "/xchg/reconcile", Reconciled)
    if as_json:
        print_json(result)
    else:
        print_line("\n".join(lines(result)))
    return result.agrees


def lines(result: Reconciled) -> Iterator[str]:
    """For a terminal of 80 columns: a line for each finding, below its venue."""
    for venue in result.venues:
        yield (
            f"{venue.venue}: {venue.matched} matched, {len(venue.repaired)} repaired, "
            f"{venue.foreign_total} foreign, {len(venue.differences)} different"
        )
        yield from _shortened(list(_findings(venue)))
    yield f"{_verdict(result)} ({result.ended_at - result.began_at} ms)"


def _verdict(result: Reconciled) -> str:
    if result.agrees:
        return "the account agrees with the ledger"
    if any(venue.differences or venue.undecided for venue in result.venues):
        return "the account DIFFERS from the ledger"
    return "the account was NOT compared completely"


def _findings(venue: _Venue) -> Iterator[str]:
    """What needs attention first."""
    yield from (f"problem    {each}" for each in venue.problems)
    yield from (f"differs    {each.text}" for each in venue.differences)
    if venue.undecided:
        yield "undecided  a position differs; the next round, in 5 s, decides"
    if venue.missed_fills:
        yield f"missed     {count(venue.missed_fills, 'trade')} had not been seen; recorded now"
    for repair in venue.repaired:
        order = f"{repair.client_order_id} {repair.symbol}"
        yield f"repaired   {order}: {repair.before} -> {repair.after}"
    for first in venue.first_positions:
        yield f"first seen {first.symbol} {first.position_side} {first.qty}"
    for balance in venue.corrected_balances:
        yield f"balance    {balance.wallet} {balance.asset}: {balance.before} -> {balance.after}"
    yield from (f"young      {each}: not listed yet" for each in venue.young)
    for other in venue.foreign:
        terms = f"{other.symbol} {other.side} {other.type} {other.status}"
        yield f"foreign    {other.label}: {other.client_order_id or other.order_id} {terms}"


def _shortened(findings: list[str]) -> Iterator[str]:
    yield from (f"  {each}" for each in findings[:SHOWN_MAX])
    if len(findings) > SHOWN_MAX:
        yield f"  and {len(findings) - SHOWN_MAX} more; --json shows them"
