"""The transfer command: each request is counted on disk first, and what is final is saved."""

from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from chimera_s1.app.cli.transfer.run import exit_code_and_message, read_transfer_arguments
from chimera_s1.app.cli.transfer.saved_call import (
    RESEND_MAX_AGE_MS,
    SavedCallOutcome,
    SavedTransferCall,
)
from chimera_s1.app.cli.transfer.saved_transfers import SavedTransfer, SavedTransfers, TransferBody
from chimera_s1.domain.errors import ConfigurationError, InvalidValueError
from chimera_s1.domain.identifiers import parse_transfer_id
from chimera_s1.domain.treasury.limits import Wallet
from chimera_s1_client import HttpReply, NoReplyError, TransferOk, TransferPending
from chimera_s1_client.transfer_client import PATH, REQUESTS_MAX
from tests.virtual_time import EPOCH_MS, LoopClock, run_on_virtual_time

ID = parse_transfer_id("t-1")
BODY = TransferBody(
    transfer_id=ID, source=Wallet.SPOT, target=Wallet.FUT, amount_usdt="12.5", reason=""
)
LOST = NoReplyError("connection reset")


def reply(status: int, *, wait_s: int = 0, **fields: str) -> HttpReply:
    return HttpReply(status, msgspec.json.encode(fields), wait_s * 1000)


def answer(result: str, status: int = 200, message: str = "") -> HttpReply:
    return reply(status, transfer_id=ID, result=result, message=message)


OK = answer("OK")
PENDING = answer("PENDING", 202)
BUSY = reply(503, code="store.unavailable", detail="no store", result="FAIL", transfer_id=ID)


class Sent(Struct):
    method: str
    path: str
    body: bytes | None
    key: str
    attempts: int


class Script:
    """Implements `SendRequest`: replies in order, then the last one again; reads the file first."""

    def __init__(self, files: SavedTransfers, replies: list[HttpReply | NoReplyError]) -> None:
        self.sent: list[Sent] = []
        self._files = files
        self._replies = replies

    async def __call__(
        self, method: str, path: str, body: bytes | None = None, key: str = ""
    ) -> HttpReply:
        saved = self._files.find(ID)
        assert saved is not None, "sent before it was saved"
        self.sent.append(Sent(method, path, body, key, saved.attempts))
        given = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if isinstance(given, NoReplyError):
            raise given
        return given


class Outcome(Struct):
    result: SavedCallOutcome
    sent: list[Sent]
    printed: list[str]
    elapsed_ms: float


@pytest.fixture
def files(tmp_path: Path) -> SavedTransfers:
    return SavedTransfers(tmp_path)


def request(
    files: SavedTransfers,
    *replies: HttpReply | NoReplyError,
    wait_s: float = 30,
    age_ms: int | None = None,
) -> Outcome:
    """Request the transfer, or resume it where *age_ms* is given."""
    printed: list[str] = []
    script = Script(files, list(replies))

    async def main() -> Outcome:
        clock = LoopClock()
        saved = SavedTransfer(
            url="http://s1", body=BODY, saved_at=round(EPOCH_MS) - (age_ms or 0), attempts=1
        )
        files.save(saved)
        client = SavedTransferCall(
            saved, files, script, on_wait=lambda cause, _: printed.append(cause), wait_s=wait_s
        )
        result = await (client.run() if age_ms is None else client.resume(clock))
        return Outcome(result, script.sent, printed, clock.monotonic_ms())

    return run_on_virtual_time(main)


def saved(files: SavedTransfers) -> SavedTransfer:
    found = files.find(ID)
    assert found is not None
    return found


def test_the_same_request_is_sent_until_a_definite_reply(files: SavedTransfers) -> None:
    """One body and one key; attempts are counted on disk first."""
    done = request(files, LOST, BUSY, reply(500), HttpReply(200, b"<"), OK)

    assert done.result.result == TransferOk(ID)
    assert {(s.method, s.path, s.body, s.key) for s in done.sent} == {
        ("POST", PATH, msgspec.json.encode(BODY), ID)
    }
    assert [s.attempts for s in done.sent] == [1, 2, 3, 4, 5]
    assert len(done.printed) == 4
    assert done.printed[0] == "connection reset"
    assert saved(files).result == "OK"
    assert files.unfinished() == ()


def test_out_of_time_or_requests_the_transfer_stays_unfinished(files: SavedTransfers) -> None:
    never = request(files, LOST, wait_s=1e6)
    assert len(never.sent) == REQUESTS_MAX
    assert [k.transfer_id for k in files.unfinished()] == [ID]
    code, text = exit_code_and_message(never.result)
    assert code == 3
    assert text.startswith("PENDING transfer t-1: 12.5 USDT from SPOT to FUT, unknown whether")
    assert "chimera-s1 transfer --resume" in text


def test_a_rejection_is_final_only_after_a_single_request(files: SavedTransfers) -> None:
    """After a request without a reply, 401 says nothing about that request."""
    refused = request(files, reply(401, detail="who?"))
    assert exit_code_and_message(refused.result)[0] == 2
    assert saved(files).result == "FAIL"

    unknown = request(files, LOST, reply(401, detail="who?"))
    code, text = exit_code_and_message(unknown.result)
    assert code == 3
    assert "the outcome of an earlier request is unknown" in text
    assert saved(files).result == ""


@pytest.mark.parametrize(
    ("given", "code", "text"),
    [
        (OK, 0, "OK transfer t-1: 12.5 USDT from SPOT to FUT, moved"),
        (answer("FAIL", message="-5013"), 1, "FAIL transfer t-1: 12.5 USDT from SPOT to FUT"),
        (reply(422, code="above_max"), 1, "FAIL "),
        (reply(422, code="key_reused"), 1, "FAIL "),
        (HttpReply(422, b"<html>"), 2, "FAIL "),
        (reply(409, code="halted"), 1, "FAIL "),
        (reply(400), 2, "FAIL "),
        (PENDING, 3, "PENDING "),
    ],
    ids=repr,
)
def test_each_outcome_has_its_exit_code(
    files: SavedTransfers, given: HttpReply, code: int, text: str
) -> None:
    ended = exit_code_and_message(request(files, given, wait_s=0).result)

    assert ended[0] == code
    assert ended[1].startswith(text)
    assert "\n" not in ended[1]


@pytest.mark.parametrize(
    "given", [reply(404, code="treasury.not_found"), reply(400), reply(503, wait_s=3600)], ids=repr
)
def test_an_accepted_transfer_stays_pending_until_it_is_finished(
    files: SavedTransfers, given: HttpReply
) -> None:
    done = request(files, PENDING, given)

    assert isinstance(done.result.result, TransferPending)
    assert exit_code_and_message(done.result)[0] == 3
    assert saved(files).result == ""


def test_a_recent_transfer_is_sent_again_on_resume(files: SavedTransfers) -> None:
    done = request(files, OK, age_ms=RESEND_MAX_AGE_MS)

    assert [(s.method, s.attempts) for s in done.sent] == [("POST", 2)]


def test_an_old_transfer_is_looked_up_and_not_sent(files: SavedTransfers) -> None:
    gone = request(files, LOST, reply(404, code="treasury.not_found"), age_ms=RESEND_MAX_AGE_MS + 1)
    assert [s.method for s in gone.sent] == ["GET", "GET"]
    assert exit_code_and_message(gone.result)[0] == 1
    assert saved(files).result == "FAIL"

    found = request(files, PENDING, OK, age_ms=RESEND_MAX_AGE_MS + 1)
    assert {s.method for s in found.sent} == {"GET"}
    assert saved(files).result == "OK"


def test_a_refused_lookup_says_nothing_about_the_request_that_was_sent(
    files: SavedTransfers,
) -> None:
    """The reply to the only request was lost, and now the token may not read."""
    done = request(files, reply(403), age_ms=RESEND_MAX_AGE_MS + 1)

    assert [s.method for s in done.sent] == ["GET"]
    assert exit_code_and_message(done.result)[0] == 3
    assert saved(files).result == ""


def test_a_damaged_file_is_an_error_that_names_it(files: SavedTransfers, tmp_path: Path) -> None:
    (tmp_path / "transfers").mkdir()
    (tmp_path / "transfers" / "t-9.json").write_text("{")

    with pytest.raises(ConfigurationError, match=r"cannot read .*t-9\.json"):
        files.unfinished()


def test_a_saved_transfer_may_name_the_wallet_as_earlier_versions_did(
    files: SavedTransfers,
) -> None:
    files.save(SavedTransfer(url="http://s1", body=BODY, saved_at=1))
    path = files.path(ID)
    old = path.read_text().replace('"FUT"', '"FUTURES"')
    path.write_text(old)

    assert "FUTURES" in old
    assert saved(files).body == BODY


def test_each_transfer_gets_its_own_id_and_an_exact_amount() -> None:
    bodies = [read_transfer_arguments(Wallet.SPOT, Wallet.FUT, "12.50", "", None) for _ in range(2)]

    assert bodies[0].transfer_id != bodies[1].transfer_id
    assert {body.amount_usdt for body in bodies} == {"12.5"}
    with pytest.raises(InvalidValueError, match="both SPOT"):
        read_transfer_arguments(Wallet.SPOT, Wallet.SPOT, "1", "", None)
    with pytest.raises(InvalidValueError, match="a transfer id has"):
        read_transfer_arguments(Wallet.SPOT, Wallet.FUT, "1", "", "a/b")
