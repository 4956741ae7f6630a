"""Asking for a transfer: what is an answer and what is not, and that one id is all that is ever
sent.
"""

from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from chimera_s1.app.cli.transfer.client import (
    PATH,
    STALE_MS,
    TRIES_MAX,
    Ending,
    TransferAsking,
)
from chimera_s1.app.cli.transfer.replies import (
    Again,
    Final,
    NotOver,
    NotThere,
    Refused,
    Verdict,
    judge,
)
from chimera_s1.app.cli.transfer.run import read_wish, told
from chimera_s1.app.cli.transfer.saved_transfers import KeptTransfer, KeptTransfers, TransferBody
from chimera_s1.app.cli.transfer.service_client import Reply, Unanswered
from chimera_s1.domain.errors import ConfigurationError, InvalidValueError
from chimera_s1.domain.identifiers import parse_transfer_id
from chimera_s1.domain.treasury.limits import Wallet
from tests.virtual_time import EPOCH_MS, LoopClock, run_virtually

ID = parse_transfer_id("t-1")
BODY = TransferBody(
    transfer_id=ID, source=Wallet.SPOT, target=Wallet.FUTURES, amount_usdt="12.5", reason=""
)
LOST = Unanswered("connection reset")


def reply(status: int, *, wait_s: int = 0, **fields: str) -> Reply:
    return Reply(status, msgspec.json.encode(fields), wait_s * 1000)


def answer(result: str, status: int = 200, message: str = "") -> Reply:
    return reply(status, transfer_id=ID, result=result, message=message)


OK = answer("OK")
PENDING = answer("PENDING", 202)
BUSY = reply(503, code="store.unavailable", detail="no store", result="FAIL", transfer_id=ID)


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (OK, Final("OK", "")),
        (answer("FAIL", message="-5013"), Final("FAIL", "-5013")),
        (PENDING, NotOver("")),
        (
            reply(422, code="above_max", detail="too much"),
            Final("FAIL", "too much (422 above_max)"),
        ),
        (reply(401, code="x", detail="who?"), Refused("who? (401 x)", forbidden=True)),
        (reply(403), Refused("status 403", forbidden=True)),
        (reply(400), Refused("status 400")),
        (reply(413), Refused("status 413")),
        (reply(404, code="http.not_found"), Refused("status 404 http.not_found")),
        (reply(404, code="treasury.not_found"), NotThere()),
        (reply(409, code="halted"), Refused("status 409 halted", by_state=True)),
        (BUSY, Again("no store (503 store.unavailable)")),
        (reply(429, wait_s=7), Again("status 429", 7_000)),
        (reply(500), Again("status 500")),
        (reply(302), Again("status 302")),
        (Reply(502, b"<html>"), Again("status 502")),
        (Reply(200, b"<html>"), Again("status 200 with an answer that is none of the treasury's")),
        (
            reply(200, result="OK"),
            Again("status 200 with an answer that is none of the treasury's"),
        ),
        (reply(200, result="OK", transfer_id="t-2"), Again("an answer about another transfer")),
    ],
    ids=repr,
)
def test_only_some_answers_are_definite(given: Reply, verdict: Verdict) -> None:
    """A problem reads as FAIL, also one that leaves everything open: the status decides."""
    assert judge(given, ID) == verdict


class Sent(Struct):
    method: str
    path: str
    body: bytes | None
    key: str
    asked: int


class Script:
    """Implements `Requests`: answers in order, the last one for ever; looks into the file each
    time.
    """

    def __init__(self, keeping: KeptTransfers, replies: list[Reply | Unanswered]) -> None:
        self.sent: list[Sent] = []
        self._keeping = keeping
        self._replies = replies

    async def __call__(
        self, method: str, path: str, body: bytes | None = None, key: str = ""
    ) -> Reply:
        kept = self._keeping.find(ID)
        assert kept is not None, "nothing is sent that is not kept"
        self.sent.append(Sent(method, path, body, key, kept.asked))
        given = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if isinstance(given, Unanswered):
            raise given
        return given


class Told(Struct):
    """What became of it, and how."""

    ending: Ending
    sent: list[Sent]
    said: list[str]
    elapsed_ms: float


@pytest.fixture
def keeping(tmp_path: Path) -> KeptTransfers:
    return KeptTransfers(tmp_path)


def ask(
    keeping: KeptTransfers,
    *replies: Reply | Unanswered,
    wait_s: float = 30,
    age_ms: int | None = None,
) -> Told:
    """Ask for it; resume it, where *age_ms* says how old it is."""
    said: list[str] = []
    script = Script(keeping, list(replies))

    async def main() -> Told:
        clock = LoopClock()
        kept = KeptTransfer(
            url="http://s1", body=BODY, kept_at=round(EPOCH_MS) - (age_ms or 0), asked=1
        )
        keeping.keep(kept)
        asking = TransferAsking(
            kept,
            keeping,
            script,
            clock=clock,
            draw=lambda: 0.0,
            say=said.append,
            wait_ms=wait_s * 1000,
        )
        ending = await (asking.ask() if age_ms is None else asking.resume())
        return Told(ending, script.sent, said, clock.monotonic_ms())

    return run_virtually(main)


def kept(keeping: KeptTransfers) -> KeptTransfer:
    found = keeping.find(ID)
    assert found is not None
    return found


def test_whatever_is_lost_the_same_is_sent_again(keeping: KeptTransfers) -> None:
    """One body and one key, each try counted on the disk before it is made; each told as safe."""
    done = ask(keeping, LOST, BUSY, reply(500), Reply(200, b"<"), OK)

    assert done.ending.verdict == Final("OK", "")
    assert {(s.method, s.path, s.body, s.key) for s in done.sent} == {
        ("POST", PATH, msgspec.json.encode(BODY), ID)
    }
    assert [s.asked for s in done.sent] == [1, 2, 3, 4, 5]
    assert len(done.said) == 4
    assert all("same id" in text and "safe" in text for text in done.said)
    assert "http://s1 gave no answer (connection reset)" in done.said[0]
    assert kept(keeping).result == "OK"
    assert keeping.open_ones() == ()


def test_a_service_is_left_alone_for_as_long_as_it_wants(keeping: KeptTransfers) -> None:
    assert ask(keeping, reply(503, wait_s=7), OK).elapsed_ms == 7_000
    assert ask(keeping, BUSY, BUSY, BUSY, OK).elapsed_ms == 500 + 1_000 + 2_000


def test_time_and_tries_have_an_end_and_the_transfer_stays_open(keeping: KeptTransfers) -> None:
    late = ask(keeping, reply(429, wait_s=60), OK)
    assert (len(late.sent), late.elapsed_ms) == (1, 0)
    assert isinstance(late.ending.verdict, Again)

    never = ask(keeping, LOST, wait_s=1e6)
    assert len(never.sent) == TRIES_MAX
    assert [k.transfer_id for k in keeping.open_ones()] == [ID]
    code, text = told(never.ending)
    assert code == 3
    assert text.startswith("PENDING transfer t-1: 12.5 USDT from SPOT to FUTURES, nobody knows")
    assert "chimera-s1 transfer --resume" in text


def test_a_refusal_ends_it_only_where_nothing_else_was_sent(keeping: KeptTransfers) -> None:
    """After a request without an answer, 401 says nothing about that request."""
    refused = ask(keeping, reply(401, detail="who?"))
    assert told(refused.ending)[0] == 2
    assert kept(keeping).result == "FAIL"

    open_still = ask(keeping, LOST, reply(401, detail="who?"))
    code, text = told(open_still.ending)
    assert code == 3
    assert "an earlier try is open" in text
    assert kept(keeping).result == ""


@pytest.mark.parametrize(
    ("given", "code", "text"),
    [
        (OK, 0, "OK transfer t-1: 12.5 USDT from SPOT to FUTURES, moved"),
        (answer("FAIL", message="-5013"), 1, "FAIL transfer t-1: 12.5 USDT from SPOT to FUTURES"),
        (reply(422, code="above_max"), 1, "FAIL "),
        (reply(409, code="halted"), 1, "FAIL "),
        (reply(400), 2, "FAIL "),
        (PENDING, 3, "PENDING "),
    ],
    ids=repr,
)
def test_each_end_has_its_exit_code(
    keeping: KeptTransfers, given: Reply, code: int, text: str
) -> None:
    ended = told(ask(keeping, given, wait_s=0).ending)

    assert ended[0] == code
    assert ended[1].startswith(text)
    assert "\n" not in ended[1]


def test_an_accepted_one_is_looked_at_until_it_is_over(keeping: KeptTransfers) -> None:
    done = ask(keeping, PENDING, PENDING, LOST, BUSY, OK)

    assert done.ending.verdict == Final("OK", "")
    assert [s.method for s in done.sent] == ["POST", "GET", "GET", "GET", "GET"]
    assert {s.path for s in done.sent[1:]} == {f"{PATH}/t-1"}


@pytest.mark.parametrize(
    "given", [reply(404, code="treasury.not_found"), reply(400), reply(503, wait_s=3600)], ids=repr
)
def test_nothing_but_its_end_ends_an_accepted_one(keeping: KeptTransfers, given: Reply) -> None:
    done = ask(keeping, PENDING, given)

    assert isinstance(done.ending.verdict, NotOver)
    assert told(done.ending)[0] == 3
    assert kept(keeping).result == ""


def test_a_token_that_may_not_look_asks_again_instead(keeping: KeptTransfers) -> None:
    done = ask(keeping, PENDING, reply(403), PENDING, OK)

    assert done.ending.verdict == Final("OK", "")
    assert [s.method for s in done.sent] == ["POST", "GET", "POST", "POST"]
    assert {s.key for s in done.sent if s.method == "POST"} == {ID}


def test_what_is_resumed_soon_is_asked_again(keeping: KeptTransfers) -> None:
    done = ask(keeping, OK, age_ms=STALE_MS)

    assert [(s.method, s.asked) for s in done.sent] == [("POST", 2)]


def test_a_stale_wish_is_looked_for_and_not_sent(keeping: KeptTransfers) -> None:
    gone = ask(keeping, LOST, reply(404, code="treasury.not_found"), age_ms=STALE_MS + 1)
    assert [s.method for s in gone.sent] == ["GET", "GET"]
    assert told(gone.ending)[0] == 1
    assert kept(keeping).result == "FAIL"

    found = ask(keeping, PENDING, OK, age_ms=STALE_MS + 1)
    assert {s.method for s in found.sent} == {"GET"}
    assert kept(keeping).result == "OK"


def test_a_damaged_file_is_named_and_never_passed_over(
    keeping: KeptTransfers, tmp_path: Path
) -> None:
    (tmp_path / "transfers").mkdir()
    (tmp_path / "transfers" / "t-9.json").write_text("{")

    with pytest.raises(ConfigurationError, match=r"t-9\.json cannot be read"):
        keeping.open_ones()


def test_a_wish_has_an_id_of_its_own_and_an_exact_amount() -> None:
    wishes = [read_wish(Wallet.SPOT, Wallet.FUTURES, "12.50", "", None) for _ in range(2)]

    assert wishes[0].transfer_id != wishes[1].transfer_id
    assert {wish.amount_usdt for wish in wishes} == {"12.5"}
    with pytest.raises(InvalidValueError, match="both SPOT"):
        read_wish(Wallet.SPOT, Wallet.SPOT, "1", "", None)
    with pytest.raises(InvalidValueError, match="a transfer id has"):
        read_wish(Wallet.SPOT, Wallet.FUTURES, "1", "", "a/b")
