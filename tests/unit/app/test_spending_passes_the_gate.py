"""What spends passes the trading gate; what protects, ends or explains never asks it.

Every class of a capability that reaches money is a row of `SPENDS` or of `NEVER_BLOCKED`. A new one
fails here until it is a row: one that moves money between wallets, or opens or enlarges a position,
goes to `SPENDS`, with a probe that shows how the gate refuses it. Cancels, reconciliation and
resolving go to `NEVER_BLOCKED`, and must not know the gate. `PlaceOrders` also places stops and
closes: which orders ask the gate is tested in
`tests/unit/app/capabilities/execution/test_protection_is_never_blocked.py`.

Nothing else can spend: every port is a row of `MONEY_PORTS` or of `PORTS_WITHOUT_MONEY`, only
capabilities in `REACHES_MONEY` import the former, and only adapters in `MAY_POST`, which implement
them, send the exchange anything but reads. (A listen key opens a stream and moves nothing.)
"""

import ast
import inspect
from collections.abc import Awaitable, Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from msgspec import Struct

import chimera_s1.app.capabilities
from chimera_s1.app.capabilities.operations.trading_gate import TradingGate
from chimera_s1.app.capabilities.treasury.transfer_admission import TransferAdmission
from chimera_s1.domain.errors import ChimeraError
from chimera_s1.domain.operations.trading_gate import Spending
from chimera_s1.domain.operations.trading_mode import TradingMode
from chimera_s1.domain.ports.treasury_gateway import ReplyUnknown
from chimera_s1.domain.treasury.events import OperatorVerdict
from chimera_s1.domain.treasury.transfer import Phase
from tests.execution_harness import ExecutionHarness, ExecutionInstance, entry
from tests.fakes.treasury_gateway import ScriptedResponse
from tests.treasury_harness import (
    OperatorSwitches,
    TreasuryHarness,
    TreasuryInstance,
    running,
    transfer_request,
)
from tests.virtual_time import on_virtual_time

ROOT = Path(next(iter(chimera_s1.app.capabilities.__path__)))
APP = ROOT.parent
PORTS = APP.parent / "domain" / "ports"
EXCHANGE = APP.parent / "adapters" / "binance"
MINUTE_MS = 60_000

REACHES_MONEY = {"execution", "treasury"}
"""Capabilities whose classes are all rows below."""

NO_MONEY = {"funding", "instruments", "ledger", "market", "operations", "trading_mode"}
"""They may not import a port through which money or orders leave."""

MONEY_PORTS = {"order_gateway", "treasury_gateway"}
"""Modules of `domain/ports`."""

PORTS_WITHOUT_MONEY = {
    "account_claims",
    "account_hold",
    "account_reader",
    "account_stream",
    "clock",
    "configuration_source",
    "contract_reader",
    "current_quotes",
    "cursor_store",
    "dead_letters",
    "estimate_reader",
    "event_store",
    "exchange_account",
    "exchange_information",
    "exchange_status",
    "funding_archive",
    "funding_events",
    "funding_source",
    "funding_store",
    "heartbeat",
    "held_symbols",
    "installation_store",
    "instrument_reader",
    "instrument_registry",
    "instrument_source",
    "job_runs",
    "kept_configuration",
    "key_permissions",
    "kill_switch",
    "lease_store",
    "listing_news",
    "mark_prices",
    "market_feed",
    "market_status",
    "operations_log",
    "order_events",
    "publication",
    "publisher_lease",
    "quote_publisher",
    "quote_reader",
    "recording",
    "revision_announcements",
    "risk_limits_reader",
    "shared_holds",
    "spec_reader",
    "store_probe",
    "symbol_choice",
    "token_store",
    "trading_sessions",
    "transfer_projection",
}

MAY_POST = {
    "orders/order_sender.py": "order_gateway",
    "treasury/transfer_sender.py": "treasury_gateway",
}
"""Adapters that send the exchange more than reads, and the money port each of them implements."""

NAMES_VERBS = {"http/listen_key.py", "http/signed_request.py"}
"""Modules of the HTTP client that name the methods which change something."""

CANCELLING_METHOD = "send_cancel"
"""A cancel can only end what is open: the one method of a money port that does not spend."""

SENDING_METHODS = {"submit", "send_once", "send_order", CANCELLING_METHOD}
"""Of money ports and of the HTTP client: in `app`, only classes in `SPENDS` may call them, and
those in `CANCELS` the one that cancels.
"""

SPENDS = {
    "AcceptTransfers": Spending.TRANSFER,
    "ExecuteTransfers": Spending.TRANSFER,
    "PlaceOrders": Spending.ENTRY,
}

CANCELS = {"CancelOrders"}
"""Rows of `NEVER_BLOCKED` too."""

NEVER_BLOCKED = {
    "AccountPicture",
    "CancelOrders",
    "CheckAccount",
    "CheckOrderRules",
    "ComparePositions",
    "ConcludeOutcomes",
    "CurrentAccountHold",
    "ExecutionLedger",
    "ExecutionSink",
    "FollowAccount",
    "GatherAccountEvidence",
    "GuardAccount",
    "LedgerHistory",
    "OrdersInFlight",
    "ProtectionChanges",
    "QueryWorking",
    "ReadAccount",
    "ReadTrades",
    "ReadTransfers",
    "ReconcileAccount",
    "ReconcileTransfers",
    "ReconcileVenue",
    "ReconciliationSchedule",
    "RecordReplies",
    "ReportOrders",
    "ReportPrivateStream",
    "ReportTreasury",
    "ResolveTransfers",
    "ResolveUnknown",
    "RotateKey",
    "SharedHistories",
    "TransferRows",
    "TreasuryLedger",
    "UncertainSubmissions",
    "UnknownReports",
    "WatchKey",
    "WatchMaintenance",
}

GATE_NAMES = {TradingGate.__name__, TransferAdmission.__name__, "trading_gate", "kill_switch"}


def modules(capability: str) -> Iterator[ModuleType]:
    """Of its use cases and their parts: no wiring, no settings, no web."""
    for path in sorted((ROOT / capability).glob("*.py")):
        name = path.stem
        if not name.endswith("wiring") and name not in {"__init__", "settings", "metrics"}:
            yield import_module(f"chimera_s1.app.capabilities.{capability}.{name}")


def use_cases(capability: str) -> Iterator[type]:
    """Public classes that do something: no values, errors or interfaces."""
    for module in modules(capability):
        for name, kind in vars(module).items():
            is_own = inspect.isclass(kind) and kind.__module__ == module.__name__
            if not is_own or name.startswith("_"):
                continue
            if issubclass(kind, Struct | Exception) or getattr(kind, "_is_protocol", False):
                continue
            yield kind


def source(kind: type) -> ast.Module:
    return ast.parse(Path(inspect.getfile(kind)).read_text())


def names_in(tree: ast.AST) -> set[str]:
    """Every name, attribute and imported module, part by part."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                found.add(name)
            case ast.ImportFrom(module=str(module)):
                found.update(module.split("."))
            case _:
                pass
    return found


def attributes_in(path: Path, names: set[str]) -> set[str]:
    """Those of *names*; only a text that has one is parsed."""
    text = path.read_text()
    if not any(name in text for name in names):
        return set()
    nodes = ast.walk(ast.parse(text))
    return {node.attr for node in nodes if isinstance(node, ast.Attribute)} & names


MONEY_CLASSES = [kind for each in sorted(REACHES_MONEY) for kind in use_cases(each)]


def test_every_capability_and_every_class_that_reaches_money_is_a_row() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert folders == REACHES_MONEY | NO_MONEY, (
        "classify the new capability at the top of this file"
    )
    assert not SPENDS.keys() & NEVER_BLOCKED
    assert {kind.__name__ for kind in MONEY_CLASSES} == SPENDS.keys() | NEVER_BLOCKED, (
        "a new class is a row of SPENDS or of NEVER_BLOCKED; see the top of this file"
    )


def test_every_port_is_one_that_money_leaves_through_or_not() -> None:
    ports = {path.stem for path in PORTS.glob("*.py")} - {"__init__"}
    assert ports == MONEY_PORTS | PORTS_WITHOUT_MONEY, (
        "classify the new port at the top of this file"
    )
    assert not MONEY_PORTS & PORTS_WITHOUT_MONEY


def test_only_adapters_of_money_ports_send_the_exchange_more_than_reads() -> None:
    """Everything goes through `HttpClient`, which can only GET, `send_once` and, for the one path
    of the listen key, `call_listen_key`.
    """
    posting: set[str] = set()
    for path in EXCHANGE.rglob("*.py"):
        tree, name = ast.parse(path.read_text()), str(path.relative_to(EXCHANGE))
        verbs = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        assert name in NAMES_VERBS or not verbs & {"POST", "PUT", "DELETE"}, name
        sends = attributes_in(path, {"send_once", "call_listen_key"})
        if "send_once" in sends:
            posting.add(name)
        if "call_listen_key" in sends:
            assert path.parent.name == "user_stream", "only the private stream has a listen key"

    assert posting == MAY_POST.keys(), "an adapter that can spend: classify it and its port"
    assert set(MAY_POST.values()) == MONEY_PORTS


def test_only_what_spends_calls_what_sends() -> None:
    """In all of `app`: also commands and wiring."""
    files = {kind.__name__: Path(inspect.getfile(kind)) for kind in MONEY_CLASSES}
    spending, cancelling = ({files[name] for name in names} for names in (SPENDS, CANCELS))
    sent = {path: attributes_in(path, SENDING_METHODS) for path in APP.rglob("*.py")}
    assert {path for path, methods in sent.items() if methods - {CANCELLING_METHOD}} <= spending
    cancels = {path for path, methods in sent.items() if CANCELLING_METHOD in methods}
    assert cancels == cancelling
    assert not cancelling & spending
    assert NEVER_BLOCKED >= CANCELS


def test_wiring_gives_the_gate_to_nothing_that_is_never_blocked() -> None:
    """Nor one of its methods under another name."""
    wired: set[str] = set()
    for path in ROOT.rglob("*wiring.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                name = node.func.id
                given = {part for each in [*node.args, *node.keywords] for part in names_in(each)}
                if name in NEVER_BLOCKED:
                    wired.add(name)
                    assert not given & {*GATE_NAMES, "gate", "admission"}, f"{path}: {name}"
    assert {"ReconcileTransfers", "ResolveTransfers"} <= wired


@pytest.mark.parametrize("capability", sorted(NO_MONEY))
def test_other_capabilities_have_no_way_to_move_money(capability: str) -> None:
    for path in (ROOT / capability).rglob("*.py"):
        assert not names_in(ast.parse(path.read_text())) & MONEY_PORTS, path


@pytest.mark.parametrize("kind", MONEY_CLASSES, ids=lambda kind: kind.__name__)
def test_what_spends_has_the_gate_and_nothing_else_knows_it(kind: type) -> None:
    names = names_in(source(kind))
    if kind.__name__ in SPENDS:
        assert names & GATE_NAMES
        parameters = inspect.signature(kind).parameters.values()
        assert {each.annotation for each in parameters} & {TradingGate, TransferAdmission}
    else:
        assert not names & GATE_NAMES
        assert TradingMode.__name__ not in names
        may_send = {CANCELLING_METHOD} if kind.__name__ in CANCELS else set()
        assert names & SENDING_METHODS == may_send


class Probed(Struct, frozen=True):
    """Attributes:
    refused: Why; empty if it was let through.
    sent: Something has reached the exchange.
    """

    refused: str
    sent: bool


Probe = Callable[[OperatorSwitches], Awaitable[Probed]]
"""Starts what spends while the gate is as the switches say."""


async def request_a_transfer(switches: OperatorSwitches) -> Probed:
    world = TreasuryHarness()
    world.switches = switches
    refused = ""
    async with running(TreasuryInstance(world)) as one:
        try:
            await one.requests.accept(transfer_request("t1"), "tester")
        except ChimeraError as refusal:
            refused = refusal.code
    return Probed(refused, bool(world.gateway.sent_orders))


async def execute_an_accepted_transfer(switches: OperatorSwitches) -> Probed:
    world = TreasuryHarness()
    await TreasuryInstance(world).requests.accept(transfer_request("t1"), "tester")
    world.switches = switches
    async with running(TreasuryInstance(world)) as one:
        await world.clock.sleep_ms(MINUTE_MS)
        waiting = (await one.transfer("t1")).phase is Phase.REQUESTED
        obstacle = one.admission.obstacle()
    refused = obstacle.code if waiting and obstacle else ""
    return Probed(refused, bool(world.gateway.sent_orders))


async def place_an_entry(switches: OperatorSwitches) -> Probed:
    world = ExecutionHarness()
    world.switches = switches
    refused = ""
    try:
        await ExecutionInstance(world).place(entry())
    except ChimeraError as refusal:
        refused = refusal.code
    return Probed(refused, bool(world.exchange.sent))


PROBES: dict[str, Probe] = {
    "AcceptTransfers": request_a_transfer,
    "ExecuteTransfers": execute_an_accepted_transfer,
    "PlaceOrders": place_an_entry,
}


def test_everything_that_spends_has_a_probe() -> None:
    assert PROBES.keys() == SPENDS.keys()


@pytest.mark.parametrize("name", sorted(SPENDS))
@pytest.mark.parametrize(
    ("kill", "mode", "transfers", "entries"),
    [
        (False, TradingMode.NORMAL, "", ""),
        (False, TradingMode.MANAGE_ONLY, "", "mode_manage_only"),
        (False, TradingMode.HALTED, "mode_halted", "mode_halted"),
        (False, None, "mode_unknown", "mode_unknown"),
        (True, TradingMode.NORMAL, "kill_switch", "kill_switch"),
        (True, TradingMode.HALTED, "kill_switch", "kill_switch"),
        (True, None, "kill_switch", "kill_switch"),
    ],
)
@on_virtual_time
async def test_what_spends_is_refused_while_the_gate_is_closed(
    name: str, mode: TradingMode | None, transfers: str, entries: str, *, kill: bool
) -> None:
    """None: the store was not read yet, so the mode is not known."""
    switches = OperatorSwitches()
    switches.kill, switches.mode = kill, mode or TradingMode.HALTED
    switches.mode_known = mode is not None

    probed = await PROBES[name](switches)

    expected = {Spending.TRANSFER: transfers, Spending.ENTRY: entries}[SPENDS[name]]
    assert probed == Probed(expected, not expected)


@pytest.mark.parametrize("kill", [True, False])
@on_virtual_time
async def test_reconciliation_and_resolving_go_on_while_the_gate_is_closed(*, kill: bool) -> None:
    """The first transfer is found in the history; an operator decides the second one."""
    world = TreasuryHarness()
    world.gateway.history_lag_ms = MINUTE_MS
    lost = ReplyUnknown("reset")
    world.gateway.script += [
        ScriptedResponse(executes=True, reply=lost),
        ScriptedResponse(executes=False, reply=lost),
    ]
    async with running(TreasuryInstance(world)) as one:
        await one.requests.accept(transfer_request("found", 11), "tester")
        await one.requests.accept(transfer_request("absent", 12), "tester")
        world.switches.kill, world.switches.mode = kill, TradingMode.HALTED
        await world.clock.sleep_ms(5 * MINUTE_MS)
        found = await one.transfer("found")
        resolved = await one.resolutions.resolve(
            (await one.transfer("absent")).transfer_id,
            OperatorVerdict.FAILED,
            tran_id="",
            note="not in the history",
            actor="tester",
        )

    assert found.phase is Phase.DONE
    assert resolved.phase is Phase.FAILED
