"""Asking for a transfer: what is an answer and what is not, and that one id is all that is ever
sent.
"""

from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from chimera_s1.app.cli.transfer.client import (
    PATH,
    REQUESTS_MAX,
    RESEND_MAX_AGE_MS,
    TransferClient,
    TransferClientResult,
)
from chimera_s1.app.cli.transfer.replies import (
    ReplyMeaning,
    RequestRejected,
    RetryNeeded,
    TransferFinished,
    TransferPending,
    TransferUnknown,
    interpret_reply,
)
from chimera_s1.app.cli.transfer.run import exit_code_and_message, read_transfer_arguments
from chimera_s1.app.cli.transfer.saved_transfers import SavedTransfer, SavedTransfers, TransferBody
from chimera_s1.app.cli.transfer.service_client import HttpReply, HttpRequestError
from chimera_s1.domain.errors import ConfigurationError, InvalidValueError
from chimera_s1.domain.identifiers import parse_transfer_id
from chimera_s1.domain.treasury.limits import Wallet
from tests.virtual_time import EPOCH_MS, LoopClock, run_on_virtual_time

ID = parse_transfer_id("t-1")
BODY = TransferBody(
    transfer_id=ID, source=Wallet.SPOT, target=Wallet.FUTURES, amount_usdt="12.5", reason=""
)
LOST = HttpRequestError("connection reset")


def reply(status: int, *, wait_s: int = 0, **fields: str) -> HttpReply:
    return HttpReply(status, msgspec.json.encode(fields), wait_s * 1000)


def answer(result: str, status: int = 200, message: str = "") -> HttpReply:
    return reply(status, transfer_id=ID, result=result, message=message)


OK = answer("OK")
PENDING = answer("PENDING", 202)
BUSY = reply(503, code="store.unavailable", detail="no store", result="FAIL", transfer_id=ID)


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (OK, TransferFinished("OK", "")),
        (answer("FAIL", message="-5013"), TransferFinished("FAIL", "-5013")),
        (PENDING, TransferPending("")),
        (
            reply(422, code="above_max", detail="too much"),
            TransferFinished("FAIL", "too much (422 above_max)"),
        ),
        (reply(401, code="x", detail="who?"), RequestRejected("who? (401 x)", forbidden=True)),
        (reply(403), RequestRejected("status 403", forbidden=True)),
        (reply(400), RequestRejected("status 400")),
        (reply(413), RequestRejected("status 413")),
        (reply(404, code="http.not_found"), RequestRejected("status 404 http.not_found")),
        (reply(404, code="treasury.not_found"), TransferUnknown()),
        (reply(409, code="halted"), RequestRejected("status 409 halted", by_state=True)),
        (BUSY, RetryNeeded("no store (503 store.unavailable)")),
        (reply(429, wait_s=7), RetryNeeded("status 429", 7_000)),
        (reply(500), RetryNeeded("status 500")),
        (reply(302), RetryNeeded("status 302")),
        (HttpReply(502, b"<html>"), RetryNeeded("status 502")),
        (
            HttpReply(200, b"<html>"),
            RetryNeeded("status 200 with an answer that is none of the treasury's"),
        ),
        (
            reply(200, result="OK"),
            RetryNeeded("status 200 with an answer that is none of the treasury's"),
        ),
        (
            reply(200, result="OK", transfer_id="t-2"),
            RetryNeeded("an answer about another transfer"),
        ),
    ],
    ids=repr,
)
def test_only_some_answers_are_definite(given: HttpReply, verdict: ReplyMeaning) -> None:
    """A problem reads as FAIL, also one that leaves everything open: the status decides."""
    assert interpret_reply(given, ID) == verdict


class Sent(Struct):
    method: str
    path: str
    body: bytes | None
    key: str
    asked: int


class Script:
    """Implements `SendRequest`: answers in order, the last one for ever; looks into the file each
    time.
    """

    def __init__(
        self, keeping: SavedTransfers, replies: list[HttpReply | HttpRequestError]
    ) -> None:
        self.sent: list[Sent] = []
        self._keeping = keeping
        self._replies = replies

    async def __call__(
        self, method: str, path: str, body: bytes | None = None, key: str = ""
    ) -> HttpReply:
        kept = self._keeping.find(ID)
        assert kept is not None, "nothing is sent that is not kept"
        self.sent.append(Sent(method, path, body, key, kept.asked))
        given = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if isinstance(given, HttpRequestError):
            raise given
        return given


class Told(Struct):
    """What became of it, and how."""

    ending: TransferClientResult
    sent: list[Sent]
    said: list[str]
    elapsed_ms: float


@pytest.fixture
def keeping(tmp_path: Path) -> SavedTransfers:
    return SavedTransfers(tmp_path)


def ask(
    keeping: SavedTransfers,
    *replies: HttpReply | HttpRequestError,
    wait_s: float = 30,
    age_ms: int | None = None,
) -> Told:
    """Ask for it; resume it, where *age_ms* says how old it is."""
    said: list[str] = []
    script = Script(keeping, list(replies))

    async def main() -> Told:
        clock = LoopClock()
        kept = SavedTransfer(
            url="http://s1", body=BODY, kept_at=round(EPOCH_MS) - (age_ms or 0), asked=1
        )
        keeping.save(kept)
        asking = TransferClient(
            kept,
            keeping,
            script,
            clock=clock,
            draw=lambda: 0.0,
            print_status=said.append,
            wait_ms=wait_s * 1000,
        )
        ending = await (asking.run() if age_ms is None else asking.resume())
        return Told(ending, script.sent, said, clock.monotonic_ms())

    return run_on_virtual_time(main)


def kept(keeping: SavedTransfers) -> SavedTransfer:
    found = keeping.find(ID)
    assert found is not None
    return found


def test_whatever_is_lost_the_same_is_sent_again(keeping: SavedTransfers) -> None:
    """One body and one key, each try counted on the disk before it is made; each told as safe."""
    done = ask(keeping, LOST, BUSY, reply(500), HttpReply(200, b"<"), OK)

    assert done.ending.meaning == TransferFinished("OK", "")
    assert {(s.method, s.path, s.body, s.key) for s in done.sent} == {
        ("POST", PATH, msgspec.json.encode(BODY), ID)
    }
    assert [s.asked for s in done.sent] == [1, 2, 3, 4, 5]
    assert len(done.said) == 4
    assert all("same id" in text and "safe" in text for text in done.said)
    assert "http://s1 gave no answer (connection reset)" in done.said[0]
    assert kept(keeping).result == "OK"
    assert keeping.unfinished() == ()


def test_a_service_is_left_alone_for_as_long_as_it_wants(keeping: SavedTransfers) -> None:
    assert ask(keeping, reply(503, wait_s=7), OK).elapsed_ms == 7_000
    assert ask(keeping, BUSY, BUSY, BUSY, OK).elapsed_ms == 500 + 1_000 + 2_000


def test_time_and_tries_have_an_end_and_the_transfer_stays_open(keeping: SavedTransfers) -> None:
    late = ask(keeping, reply(429, wait_s=60), OK)
    assert (len(late.sent), late.elapsed_ms) == (1, 0)
    assert isinstance(late.ending.meaning, RetryNeeded)

    never = ask(keeping, LOST, wait_s=1e6)
    assert len(never.sent) == REQUESTS_MAX
    assert [k.transfer_id for k in keeping.unfinished()] == [ID]
    code, text = exit_code_and_message(never.ending)
    assert code == 3
    assert text.startswith("PENDING transfer t-1: 12.5 USDT from SPOT to FUTURES, nobody knows")
    assert "chimera-s1 transfer --resume" in text


def test_a_refusal_ends_it_only_where_nothing_else_was_sent(keeping: SavedTransfers) -> None:
    """After a request without an answer, 401 says nothing about that request."""
    refused = ask(keeping, reply(401, detail="who?"))
    assert exit_code_and_message(refused.ending)[0] == 2
    assert kept(keeping).result == "FAIL"

    open_still = ask(keeping, LOST, reply(401, detail="who?"))
    code, text = exit_code_and_message(open_still.ending)
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
    keeping: SavedTransfers, given: HttpReply, code: int, text: str
) -> None:
    ended = exit_code_and_message(ask(keeping, given, wait_s=0).ending)

    assert ended[0] == code
    assert ended[1].startswith(text)
    assert "\n" not in ended[1]


def test_an_accepted_one_is_looked_at_until_it_is_over(keeping: SavedTransfers) -> None:
    done = ask(keeping, PENDING, PENDING, LOST, BUSY, OK)

    assert done.ending.meaning == TransferFinished("OK", "")
    assert [s.method for s in done.sent] == ["POST", "GET", "GET", "GET", "GET"]
    assert {s.path for s in done.sent[1:]} == {f"{PATH}/t-1"}


@pytest.mark.parametrize(
    "given", [reply(404, code="treasury.not_found"), reply(400), reply(503, wait_s=3600)], ids=repr
)
def test_nothing_but_its_end_ends_an_accepted_one(
    keeping: SavedTransfers, given: HttpReply
) -> None:
    done = ask(keeping, PENDING, given)

    assert isinstance(done.ending.meaning, TransferPending)
    assert exit_code_and_message(done.ending)[0] == 3
    assert kept(keeping).result == ""


def test_a_token_that_may_not_look_asks_again_instead(keeping: SavedTransfers) -> None:
    done = ask(keeping, PENDING, reply(403), PENDING, OK)

    assert done.ending.meaning == TransferFinished("OK", "")
    assert [s.method for s in done.sent] == ["POST", "GET", "POST", "POST"]
    assert {s.key for s in done.sent if s.method == "POST"} == {ID}


def test_what_is_resumed_soon_is_asked_again(keeping: SavedTransfers) -> None:
    done = ask(keeping, OK, age_ms=RESEND_MAX_AGE_MS)

    assert [(s.method, s.asked) for s in done.sent] == [("POST", 2)]


def test_a_stale_wish_is_looked_for_and_not_sent(keeping: SavedTransfers) -> None:
    gone = ask(keeping, LOST, reply(404, code="treasury.not_found"), age_ms=RESEND_MAX_AGE_MS + 1)
    assert [s.method for s in gone.sent] == ["GET", "GET"]
    assert exit_code_and_message(gone.ending)[0] == 1
    assert kept(keeping).result == "FAIL"

    found = ask(keeping, PENDING, OK, age_ms=RESEND_MAX_AGE_MS + 1)
    assert {s.method for s in found.sent} == {"GET"}
    assert kept(keeping).result == "OK"


def test_a_damaged_file_is_named_and_never_passed_over(
    keeping: SavedTransfers, tmp_path: Path
) -> None:
    (tmp_path / "transfers").mkdir()
    (tmp_path / "transfers" / "t-9.json").write_text("{")

    with pytest.raises(ConfigurationError, match=r"t-9\.json cannot be read"):
        keeping.unfinished()


def test_a_wish_has_an_id_of_its_own_and_an_exact_amount() -> None:
    wishes = [
        read_transfer_arguments(Wallet.SPOT, Wallet.FUTURES, "12.50", "", None) for _ in range(2)
    ]

    assert wishes[0].transfer_id != wishes[1].transfer_id
    assert {wish.amount_usdt for wish in wishes} == {"12.5"}
    with pytest.raises(InvalidValueError, match="both SPOT"):
        read_transfer_arguments(Wallet.SPOT, Wallet.SPOT, "1", "", None)
    with pytest.raises(InvalidValueError, match="a transfer id has"):
        read_transfer_arguments(Wallet.SPOT, Wallet.FUTURES, "1", "", "a/b")
