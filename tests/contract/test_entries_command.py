"""`chimera-s1 entries`: the list, the timeline, the cancel."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chimera_s1.app.cli.entries.run import (
    EntryFilter,
    cancel_and_print,
    print_entries,
    print_entry,
)
from chimera_s1.app.cli.shared.service_call import ServiceCallError
from chimera_s1.app.service_settings import Settings, load_settings
from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.execution.entries.events import EntryStatus
from chimera_s1.domain.identifiers import Venue
from tests.contract.entry_desk import BODY, FUTURES, READER, SPOT, SPOT_BODY, TRADER, Desk
from tests.contract.web_parts import serving
from tests.processes import finished

ALL = EntryFilter(None, None, None, only_open=False, limit=50)


class Shell:
    """A terminal with a token, and a service with a futures entry and a newer spot entry."""

    def __init__(self, desk: Desk, url: str, settings: Settings) -> None:
        self.desk = desk
        self.url = url
        self.settings = settings

    async def list(self, wanted: EntryFilter) -> None:
        await print_entries(self.settings, self.url, wanted, as_json=False)


@pytest.fixture
async def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shell]:
    monkeypatch.setenv("S1_TOKEN", TRADER)
    desk = Desk()
    await desk.post(FUTURES, {**BODY, "timeout_ms": 600_000})  # it does not end during a test
    desk.world.clock.skew_ms += 1_000
    await desk.post(SPOT, SPOT_BODY)
    async with serving(desk.parts) as server:
        yield Shell(desk, server.url, load_settings({"S1_STATE_DIR": str(tmp_path)}))


async def test_entries_of_both_venues_are_listed_the_newest_first(
    shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    await shell.list(ALL)

    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[1:5] for row in rows] == [
        ["s4-2", "spot", "BTCUSDT", "BUY"],
        ["s4-1", "perp", "BTCUSDT", "BUY"],
    ]
    assert rows[1][5:10] == ["WORKING", "0", "0", "0", "0"]
    assert rows[1][10].startswith("the limit order, until ")


@pytest.mark.parametrize(
    ("wanted", "keys"),
    [
        (EntryFilter(Venue.PERP, None, None, only_open=False, limit=50), ["s4-1"]),
        (EntryFilter(None, None, None, only_open=True, limit=1), ["s4-2"]),
        (EntryFilter(None, "ETHUSDT", None, only_open=False, limit=50), []),
        (EntryFilter(None, None, EntryStatus.FAILED, only_open=False, limit=50), []),
    ],
    ids=["venue", "limit", "symbol", "state"],
)
async def test_a_list_is_filtered(
    shell: Shell, capsys: pytest.CaptureFixture[str], wanted: EntryFilter, keys: list[str]
) -> None:
    await shell.list(wanted)

    shown = capsys.readouterr()
    assert [line.split("\t")[1] for line in shown.out.splitlines()] == keys
    assert ("no such entries" in shown.err) is (not keys)


async def test_an_entry_is_shown_as_a_timeline_on_whatever_venue_it_is(
    shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    await print_entry(shell.settings, shell.url, "s4-1", as_json=False)
    head, quantities, *rows, last = capsys.readouterr().out.splitlines()

    assert head == "entry s4-1: BUY BTCUSDT on perp, WORKING"
    assert quantities == "filled 0, protected 0, closed 0"
    assert [row.partition("Z  ")[2].partition(":")[0] for row in rows] == [
        "accepted",
        "entry order",
        "entry order",
    ]
    assert last.split(maxsplit=1)[0] == "next"
    assert "the limit order, until " in last

    await print_entry(shell.settings, shell.url, "s4-2", as_json=True)
    assert json.loads(capsys.readouterr().out)["venue"] == "spot"


async def test_what_comes_next_is_shown_while_the_store_is_away(
    shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.desk.world.store.unavailable = True
    await print_entry(shell.settings, shell.url, "s4-1", as_json=False)

    *_, why, last = capsys.readouterr().out.splitlines()
    assert "the service cannot read its store now" in why
    assert "the limit order, until " in last


async def test_a_cancel_is_stored_and_prints_the_state(
    shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    for disarm in (False, True):
        await cancel_and_print(shell.settings, shell.url, "s4-1", disarm, as_json=False)
        cancel = shell.desk.instance.entry.cancel
        assert cancel is not None
        assert (cancel.disarm, cancel.actor) == (disarm, "s4/trader1")
        out = capsys.readouterr().out
        assert out.startswith("entry s4-1: BUY BTCUSDT on perp, ")
        assert "\nnext: " in out


async def test_a_key_that_no_venue_has_is_named(shell: Shell) -> None:
    """Exit code 2, from the process itself."""
    environment = {
        "S1_URL": shell.url,
        "S1_TOKEN": TRADER,
        "S1_STATE_DIR": str(shell.settings.state_dir),
    }
    code, out, err = await finished("entries", "show", "s4-3", environment=environment)

    assert (code, out) == (2, "")
    assert "no entry has the key s4-3, on neither venue" in err
    with pytest.raises(InvalidValueError, match="no entry has the key s4-3"):
        await cancel_and_print(shell.settings, shell.url, "s4-3", disarm=False, as_json=False)


async def test_a_missing_scope_is_said(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S1_TOKEN", READER)
    with pytest.raises(ServiceCallError, match="orders:trade"):
        await cancel_and_print(shell.settings, shell.url, "s4-1", disarm=False, as_json=False)
    assert shell.desk.instance.entry.cancel is None
