"""Requests that the treasury's HTTP API refuses: malformed, not permitted, or not possible now.
None reaches the ledger. Named rows are those of the fault matrix.
"""

import json
from typing import Any

import pytest

from chimera_s1.domain.ledger.commit import CommitDraft, LedgerHead, NewEvent, seal
from chimera_s1.domain.operations.rate_limit import RateLimit
from chimera_s1.domain.operations.trading_mode import TradingMode
from chimera_s1.domain.ports.treasury_gateway import ReplyUnknown
from chimera_s1.domain.treasury.daily_cap import utc_day
from tests.contract.treasury_api_client import (
    RESOLVER_TOKEN,
    TRADER_TOKEN,
    TRANSFER,
    assert_problem,
    assert_result,
    event_types,
    treasury_api_client,
)
from tests.contract.web_parts import READER_TOKEN
from tests.fakes.treasury_gateway import ScriptedResponse
from tests.treasury_harness import TreasuryHarness, untyped
from tests.virtual_time import VirtualLoop

GOOD = {"from": "SPOT", "to": "FUT", "amount_usdt": 10}


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Waiting takes no time."""
    return "asyncio", {"loop_factory": VirtualLoop}


def body(**other: Any) -> bytes:
    return json.dumps({**GOOD, **other}).encode()


def amount(written: str) -> bytes:
    return b'{"from": "SPOT", "to": "FUT", "amount_usdt": %b}' % written.encode()


HOSTILE = {
    "nothing": (b"", "the body is empty"),
    "not json": (b"{", "not valid JSON at character 1"),
    "two objects": (body() + body(), "not valid JSON at character"),
    "a byte order mark": (b"\xef\xbb\xbf" + body(), "byte order mark"),
    "utf-16": (body().decode().encode("utf-16"), "not UTF-8 at byte 0"),
    "no utf-8": (body().replace(b"SPOT", b"S\xffOT"), "not UTF-8 at byte"),
    "a list": (b"[]", "the body is a list; send one object"),
    "null": (b"null", "the body is null"),
    "deep lists": (b"[" * 4_000, "nested too deeply"),
    "deep objects": (b'{"a":' * 800, "not valid JSON at character"),
    "a field twice": (body()[:-1] + b', "amount_usdt": 11}', "amount_usdt appears twice"),
    "an unknown field": (body(asset="BTC"), "asset is unknown; remove it"),
    "a prototype": (body(__proto__={}), "__proto__ is unknown"),
    "a hostile field": (body(**{"<script>": 1}), "a field is unknown"),
    "no from": (b'{"to": "SPOT", "amount_usdt": 1}', "from is missing"),
    "no amount": (b'{"from": "SPOT", "to": "FUT"}', "amount_usdt is missing"),
    "an unknown wallet": (body(to="MARGIN"), "to must be one of SPOT, FUT"),
    "a wallet in small letters": (body(to="spot"), "to must be one of SPOT, FUT"),
    "a wallet that is none": (body(to=["SPOT"]), "to must be one of SPOT, FUT"),
    "the same wallet": (body(to="SPOT"), "from and to are both SPOT; name two"),
    "NaN": (amount("NaN"), "amount_usdt is NaN or infinite"),
    "infinite": (amount("Infinity"), "amount_usdt is NaN or infinite"),
    "infinite below": (amount("-Infinity"), "amount_usdt is NaN or infinite"),
    "NaN as text": (amount('"NaN"'), "not a decimal number"),
    "1e400": (amount("1e400"), "at most 1000000000000"),
    "1e999999999": (amount("1e999999999"), "at most 1000000000000"),
    "1e-999999999": (amount("1e-999999999"), "at most 8 decimals"),
    "an exponent without end": (amount("1e" + "9" * 99), "amount_usdt: an amount is"),
    "minus zero": (amount("-0"), "more than 0"),
    "minus zero point": (amount("-0.0"), "more than 0"),
    "zero": (amount('"0.00"'), "more than 0"),
    "negative": (amount("-5"), "more than 0"),
    "nine decimals": (amount("1.000000001"), "at most 8 decimals"),
    "nine decimals as text": (amount('"1.000000001"'), "at most 8 decimals"),
    "a long number": (amount("1." + "0" * 3_000 + "1"), "at most 8 decimals"),
    "hexadecimal": (amount('"0x10"'), "not a decimal number"),
    "an exponent as text": (amount('"1e2"'), "not a decimal number"),
    "a thousands mark": (amount('"1_000"'), "not a decimal number"),
    "other digits": (body(amount_usdt="\u0661\u0660"), "not a decimal number"),
    "spaces": (amount('" 10"'), "not a decimal number"),
    "true": (amount("true"), "amount_usdt is true or false"),
    "no amount at all": (amount("null"), "amount_usdt is null"),
    "an amount inside": (amount('{"value": 10}'), "amount_usdt is an object"),
    "a long reason": (body(reason="x" * 201), "reason has 201 characters; send 0 to 200"),
    "a reason with lines": (body(reason="a\nb"), "reason has a character that cannot be printed"),
    "half a character": (body(reason="\ud800"), "reason has a character that cannot be printed"),
    "a number as reason": (body(reason=5), "reason is a number; send a text"),
    "no reason at all": (body(reason=None), "reason is null; send a text"),
}


class TestIllegal:
    @pytest.mark.parametrize(("sent", "says"), HOSTILE.values(), ids=HOSTILE)
    async def test_row_06_malformed_body_changes_nothing(self, sent: bytes, says: str) -> None:
        async with treasury_api_client() as caller:
            assert_problem(
                await caller.transfer_raw(sent), 400, "request.invalid", [says], key="t1"
            )

            assert not caller.world.store.contents.documents_by_seq
            assert_result(await caller.transfer(), 200, "OK")

    @pytest.mark.parametrize("size", [4_097, 1_000_000])
    async def test_row_06_a_large_body_is_not_read(self, size: int) -> None:
        async with treasury_api_client() as caller:
            assert_problem(
                await caller.transfer_raw(b" " * size),
                413,
                "request.too_large",
                ["4096 bytes"],
                key="t1",
            )

            assert not caller.world.store.contents.documents_by_seq

    @pytest.mark.parametrize(
        "media_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp"]
    )
    async def test_body_without_json_content_type_is_not_read(self, media_type: str | None) -> None:
        async with treasury_api_client() as caller:
            reply = await caller.transfer_raw(body(), media_type=media_type)

            assert_problem(
                reply, 415, "request.media_type", ["Content-Type: application/json"], key="t1"
            )
            assert not caller.world.store.contents.documents_by_seq

    async def test_row_04_two_different_keys_are_refused(self) -> None:
        async with treasury_api_client() as caller:
            reply = await caller.transfer("t1", transfer_id="t2")

            assert_problem(reply, 400, "key_mismatch", ["send one of them"], key="t1")
            assert not caller.world.store.contents.documents_by_seq

    async def test_row_05_without_a_key_nothing_is_done(self) -> None:
        async with treasury_api_client() as caller:
            reply = await caller.transfer(None)

            assert_problem(reply, 400, "key_missing", ["Idempotency-Key", "transfer_id", "UUID"])
            assert not caller.world.store.contents.documents_by_seq

    @pytest.mark.parametrize(
        "key", ["", '""', '"', "x" * 129, "a b", "a/b", "../x", '"a"b"', "-a", "a;b=1", "\xe9"]
    )
    async def test_row_05_malformed_key_is_refused(self, key: str) -> None:
        async with treasury_api_client() as caller:
            headers = {b"Idempotency-Key": key.encode("latin-1")}
            in_header = await caller.send(
                "POST", TRANSFER, token=TRADER_TOKEN, json=GOOD, headers=headers
            )
            in_body = await caller.transfer(None, transfer_id=key)

            assert_problem(
                in_header, 400, "key_invalid", ["Idempotency-Key: a transfer id has 1 to 128"]
            )
            assert_problem(in_body, 400, "key_invalid", ["transfer_id: a transfer id has 1 to 128"])
            assert not caller.world.store.contents.documents_by_seq

    async def test_row_05_key_that_is_not_text_or_duplicated_is_refused(self) -> None:
        async with treasury_api_client() as caller:
            assert_problem(
                await caller.transfer(None, transfer_id=5),
                400,
                "key_invalid",
                ["transfer_id is a number"],
            )
            twice = [("Idempotency-Key", "a1"), ("Idempotency-Key", "a2")]
            token = ("Authorization", f"Bearer {TRADER_TOKEN}")
            reply = await caller.client.post(TRANSFER, json=GOOD, headers=[token, *twice])
            assert_problem(reply, 400, "key_invalid", ["appears 2 times"])


class TestNotNow:
    @pytest.mark.parametrize(
        ("switch", "status", "code"),
        [
            ({"kill": True}, 503, "kill_switch"),
            ({"maintenance": "status 1"}, 503, "exchange_maintenance"),
            ({"stopping": True}, 503, "service.stopping"),
            ({"mode": TradingMode.HALTED}, 409, "mode_halted"),
        ],
    )
    async def test_row_64_kill_switch_refuses_new_transfers_and_binds_no_key(
        self, switch: dict[str, Any], status: int, code: str
    ) -> None:
        """Earlier results can still be read, and the same key works afterwards."""
        async with treasury_api_client() as caller:
            await caller.transfer("before")
            before = event_types(caller.world)
            usual = dict(vars(caller.world.switches))
            for name, value in switch.items():
                setattr(caller.world.switches, name, value)

            reply = await caller.transfer()
            earlier = await caller.transfer("before")

            assert_problem(reply, status, code, ["nothing was accepted"], key="t1")
            assert assert_result(earlier, 200, "OK")["transfer_id"] == "before"
            assert event_types(caller.world) == before
            assert len(caller.world.gateway.sent_orders) == 1
            for name, value in usual.items():
                setattr(caller.world.switches, name, value)
            assert_result(await caller.transfer(), 200, "OK")

    @pytest.mark.parametrize(
        ("name", "on", "off"),
        [
            ("kill", True, False),
            ("maintenance", "status 1", ""),
            ("maintenance_checked", False, True),
        ],
    )
    async def test_row_64_pending_transfer_stays_pending_under_the_kill_switch(
        self, name: str, on: Any, off: Any
    ) -> None:
        """And in a maintenance of the exchange, and until that was read once."""
        async with treasury_api_client(start_workers=False) as asleep:
            assert_result(await asleep.transfer(), 202, "PENDING")
            setattr(asleep.world.switches, name, on)
            async with treasury_api_client(asleep.world) as caller:
                await caller.world.clock.sleep_ms(30_000)
                assert not caller.world.gateway.sent_orders
                assert_result(await caller.transfer(), 202, "PENDING")
                setattr(caller.world.switches, name, off)
                assert_result(await caller.transfer(), 200, "OK")

    async def test_without_an_exchange_key_nothing_is_accepted(self) -> None:
        world = TreasuryHarness()
        world.switches.enabled = False
        async with treasury_api_client(world) as caller:
            reply = await caller.transfer()

            assert_problem(reply, 503, "treasury.disabled", ["S1_BINANCE_KEY"], key="t1")
            assert not world.store.contents.documents_by_seq

    async def test_row_38_without_a_store_nothing_is_sent(self) -> None:
        async with treasury_api_client() as caller:
            caller.world.store.unavailable = True
            reply = await caller.transfer()
            reads = [await caller.read(path) for path in ("transfer/t1", "limits")]

            assert_problem(reply, 503, "store.unavailable", ["retry with the same key"], key="t1")
            assert [(r.status_code, r.json()["code"]) for r in reads] == [
                (503, "store.unavailable")
            ] * 2
            assert not caller.world.gateway.sent_orders
            caller.world.store.unavailable = False
            assert_result(await caller.transfer(), 200, "OK")

    async def test_row_45_a_newest_commit_that_cannot_be_decoded_is_damage(self) -> None:
        """Not an outage of the store: nothing would end it."""
        async with treasury_api_client() as caller:
            await caller.transfer("t1")
            while await caller.treasury.projector.advance():
                pass
            kept = caller.world.store.contents.documents_by_seq
            newest = max(kept)
            kept[newest] = kept[newest][:-20]
            written = await caller.transfer("t2")
            read = await caller.read("transfer/t1")

            damaged = f"commit {newest} (treasury-{newest:016d}) cannot be decoded"
            assert_problem(written, 503, "ledger.damaged", [damaged], key="t2")
            assert read.status_code == 200
            assert len(caller.world.gateway.sent_orders) == 1

    async def test_row_45_a_damaged_ledger_is_read_and_not_written(self) -> None:
        """The damaged commit is named; the transfer is read from the projection."""
        async with treasury_api_client() as caller:
            for key in ("t1", "t2"):
                await caller.transfer(key, amount=11)
            while await caller.treasury.projector.advance():
                pass
            kept = caller.world.store.contents.documents_by_seq
            kept[1] = kept[1].replace(b'"amount":"11"', b'"amount":"12"')
            async with treasury_api_client(caller.world) as restarted:
                written = await restarted.transfer("t3")
                reads = [await restarted.read(f"transfer/{key}") for key in ("t1", "t2", "t3")]
                listed = (await restarted.read("transfers")).json()["transfers"]

            assert_problem(written, 503, "ledger.damaged", ["commit 1 "], key="t3")
            assert [reply.status_code for reply in reads] == [200, 200, 404]
            assert [reply.json()["amount"] for reply in reads[:2]] == ["11", "11"]
            assert reads[0].json()["phase"] == "done"
            assert {row["transfer_id"] for row in listed} == {"t1", "t2"}

    async def test_row_46_events_of_a_newer_version_are_not_built_upon(self) -> None:
        world = TreasuryHarness()
        day = utc_day(world.clock.now_ms())
        event = NewEvent(f"cap/{day}", "treasury.cap.reserved", 99, {})
        draft = CommitDraft(commit_id="c", at=0, actor="s1", correlation_id="", events=(event,))
        await world.store.append(seal(draft, "treasury", LedgerHead(), {event.stream: 0}))

        async with treasury_api_client(world) as caller:
            assert_problem(await caller.transfer(), 503, "ledger.too_new", ["newer"], key="t1")

            assert len(world.store.contents.documents_by_seq) == 1

    async def test_row_69_refused_caller_leaves_no_trace_in_the_ledger(self) -> None:
        async with treasury_api_client() as caller:
            forged = TRADER_TOKEN[:-5] + "AAAAA"
            for token in ("", "chs1_x", forged):
                assert_problem(await caller.transfer(token=token), 401, "access.token", key="t1")
            for token in (READER_TOKEN, RESOLVER_TOKEN):
                assert_problem(await caller.transfer(token=token), 403, "access.scope", key="t1")
            resolving = await caller.resolve("t1", token=TRADER_TOKEN, verdict="FAILED")

            assert resolving.json()["code"] == "access.scope"
            assert {kind for kind, _ in caller.parts.events} == {"access.refused"}
            assert not caller.world.store.contents.documents_by_seq

    async def test_row_12_rate_limited_caller_gets_retry_after(self) -> None:
        async with treasury_api_client(limit=RateLimit(per_s=1, burst=2)) as caller:
            replies = [await caller.transfer(f"t{number}") for number in range(20)]

            for number, reply in enumerate(replies[2:], start=2):
                assert_problem(reply, 429, "access.rate", key=f"t{number}")
            assert event_types(caller.world).count("treasury.transfer.requested") == 2

    async def test_lost_store_reply_is_resolved_by_the_same_key(self) -> None:
        """It was accepted, but the reply could not confirm that: the same key returns it."""
        async with treasury_api_client() as caller:
            caller.world.gateway.script.append(
                ScriptedResponse(executes=True, reply=ReplyUnknown("lost"))
            )
            caller.world.store.replies_to_lose = 1

            assert_problem(
                await caller.transfer(),
                503,
                "store.unavailable",
                ["acceptance is unknown"],
                key="t1",
            )
            await caller.world.clock.sleep_ms(60_000)

            assert_result(await caller.transfer(), 200, "OK")
            assert len(caller.world.gateway.sent_orders) == 1

    async def test_internal_error_is_hidden_and_resolved_by_the_same_key(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with treasury_api_client() as caller:
            caller.world.switches.limits = untyped("the secret inside")

            body = assert_problem(
                await caller.transfer(), 500, "internal", ["the same key"], key="t1"
            )

            assert "secret" not in str(body)
            assert not caller.world.store.contents.documents_by_seq
            assert "the secret inside" not in caplog.messages
            assert "POST /xchg/treasury/transfer failed" in caplog.messages
