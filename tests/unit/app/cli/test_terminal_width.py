"""Tables in a terminal of 80 columns keep their names and figures whole."""

import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from types import ModuleType

import pytest
import typer
from rich.console import Console
from typer.core import TyperGroup

from chimera_s1.app.cli.application import app
from chimera_s1.app.cli.config import run as config
from chimera_s1.app.cli.config.effective_settings import effective_settings
from chimera_s1.app.cli.doctor import command as doctor
from chimera_s1.app.cli.doctor.check_result import CheckGrade, CheckResult
from chimera_s1.app.cli.drill import report
from chimera_s1.app.cli.drill.result import Measurements, evaluate
from chimera_s1.app.cli.drill.scenarios import DRILLS
from chimera_s1.app.cli.ledger import orders
from chimera_s1.app.cli.tokens import command as tokens
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.execution.tracked_order import OrderPhase

WORST = Measurements(
    fired=(1,),
    noticed_s=31.2,
    noticed_by="ops:events ws.lost",
    over_s=135.1,
    missing=111,
    wrong=(),
    mistimed=12,
    lost=12,
    late_ms=1250.0,
)


def printed_on(module: ModuleType, monkeypatch: pytest.MonkeyPatch, width: int) -> StringIO:
    """What *module* prints from now on, in a terminal of *width* columns."""
    output = StringIO()
    console = Console(file=output, width=width, force_terminal=True, color_system=None)
    monkeypatch.setattr(module, "stdout_console", lambda: console)
    return output


def test_config_shows_every_setting_with_its_whole_name(monkeypatch: pytest.MonkeyPatch) -> None:
    output = printed_on(config, monkeypatch, 80)

    config.print_settings({}, as_json=False)

    lines = output.getvalue().splitlines()
    names = {line.strip().partition("=")[0] for line in lines if line.startswith("  S1_")}
    assert names >= {row.name for row in effective_settings({})}
    assert max(map(len, lines)) <= 80


def test_doctor_wraps_what_it_says_of_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    output = printed_on(doctor, monkeypatch, 80)
    detail = "the key may not trade futures: enable Futures for it; one-way mode, multi-assets mode"

    doctor._print([CheckResult("account", CheckGrade.FAIL, detail, "check the key")])

    lines = output.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert " ".join(" ".join(lines).split()) == f"FAIL account {detail} -> check the key"


@pytest.mark.parametrize("width", [80, 140])
def test_orders_show_ids_and_quantities_whole(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    output = printed_on(orders, monkeypatch, width)
    row = orders.OrderListRow(
        planned="2026-11-26T09:00:04.000Z",
        client_order_id="s1-0123456789abcdef0123456789-abcdef",
        venue="perp",
        symbol="1000PEPEUSDT",
        side="SELL",
        terms="TAKE_PROFIT 1234567 at 0.0123456, limit 0.0123",
        filled="1234567",
        state=OrderPhase.ACKNOWLEDGED,
        status="PARTIALLY_FILLED",
        entry_id="entry-4711",
        actor="s4",
        message="",
    )

    orders.print_rows([row])

    text = output.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert row.client_order_id in text
    assert row.filled in text
    assert ("entry-4711" in text) is (width == 140)


@pytest.mark.parametrize(("width", "targets"), [(80, False), (96, True)])
def test_drill_results_are_not_cut_off(
    monkeypatch: pytest.MonkeyPatch, width: int, targets: bool
) -> None:
    """Targets are shown where there is room for them."""
    output = printed_on(report, monkeypatch, width)

    report.print_results([evaluate(drill, WORST) for drill in DRILLS], as_json=False)

    text = output.getvalue()
    assert "…" not in text
    assert text.count(" MISS ") == len(DRILLS)
    assert all(f" {drill.name} " in text for drill in DRILLS)
    assert ("<=" in text) is targets
    assert max(map(len, text.splitlines())) <= width


def test_drill_results_in_a_pipe_fit_into_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """Their verdict comes before the figures."""
    report.print_results([evaluate(drill, WORST) for drill in DRILLS], as_json=False)

    head, *rows = capsys.readouterr().out.splitlines()[: len(DRILLS) + 1]
    assert head.split()[:3] == ["drill", "noticed", "s"]
    assert {row.split()[1] for row in rows} == {"MISS"}
    assert max(map(len, [head, *rows])) <= 80


def test_tokens_are_listed_with_all_scopes_in_80_columns(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "tokens.json"
    scopes = ",".join(Scope)
    tokens.create(actor="treasury-executor-of-the-desk", scope=[scopes], days=90, file=file)
    output = printed_on(tokens, monkeypatch, 80)

    tokens.list_tokens(file=file)

    text = output.getvalue()
    assert "…" not in text
    assert set(text.split()) >= {*Scope, "valid"}
    assert re.search(r" \d{4}-\d\d-\d\d \d{4}-\d\d-\d\d valid", text)
    assert max(map(len, text.splitlines())) <= 80


def test_drills_are_listed_in_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Targets are wrapped below the fault."""
    output = printed_on(report, monkeypatch, 80)

    report.print_catalogue(DRILLS, as_json=False)

    faults, targets = capsys.readouterr().out.splitlines(), output.getvalue().splitlines()
    assert [line.split()[0] for line in faults] == [drill.name for drill in DRILLS]
    assert len(targets) > len(DRILLS)
    assert {line[:16] for line in targets} == {" " * 16}
    assert max(map(len, [*faults, *targets])) <= 80


def help_texts(command: object, name: str) -> Iterator[tuple[str, str]]:
    """The names and the help of *command* and of the commands in it."""
    yield name, str(getattr(command, "help", ""))
    if isinstance(command, TyperGroup):
        for each, inner in command.commands.items():
            yield from help_texts(inner, f"{name} {each}")


@pytest.mark.parametrize(("name", "text"), [*help_texts(typer.main.get_command(app), "chimera-s1")])
def test_help_is_not_wrapped_twice_in_80_columns(name: str, text: str) -> None:
    """Lines of help are printed as they are, with a space at each side; the first may wrap."""
    _, *lines = text.splitlines()
    assert [line for line in lines if len(line) > 78] == [], name
