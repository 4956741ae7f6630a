"""No secret leaves the service: every failure is provoked, and all output is searched."""

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from chimera_s1.adapters.simulator.config import DEMO_KEY
from chimera_s1.domain.instruments.instrument import RegistryRow
from chimera_s1.domain.ledger.commit import LedgerEntry
from tests.contract.service_process import redis_at, service_process
from tests.contract.treasury_service import OPERATIONS, POST, TreasuryDeployment
from tests.contract.treasury_service_client import (
    OTHER_TOKEN,
    READER_TOKEN,
    TRADER_TOKEN,
    TRANSFER,
    TreasuryServiceClient,
)

PASSWORD = "correct horse/battery"
WRONG_PASSWORD = "wrong horse/staple"
SECRETS = {
    "API key": DEMO_KEY.key,
    "API secret": DEMO_KEY.secret,
    "Redis password": "battery",
    "Redis password of before": "staple",
    **{
        f"token of {token.split('_')[1]}": token.split("_", 2)[2]
        for token in (TRADER_TOKEN, OTHER_TOKEN, READER_TOKEN)
    },
    "signature": "signature=",
    "authorization": "Bearer chs1",
}
HEX_64 = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
POST_FAULTS = (
    "drop-before",
    "execute-then-drop",
    "status:502",
    "status:429",
    "code:-1021",
    "code:-1022",
    "code:-2015",
    "code:-5013",
    "body:html",
    "body:truncated",
    "unavailable",
)
READS = (
    "GET /sapi/v1/asset/transfer",
    "GET /fapi/v1/income",
    "GET /sapi/v1/account/apiRestrictions",
)
READ_FAULTS = ("drop-before", "status:500", "code:-2015", "body:truncated")


async def test_row_70_no_secret_is_in_what_the_service_writes(site: TreasuryDeployment) -> None:
    """In its log, its answers, its metrics, on Redis and in its state directory."""
    received: list[bytes] = []
    async with redis_at(site.node.address.port) as admin, guarded(admin):
        for read in READS:
            for action in READ_FAULTS:
                await site.sim.arm(read, action)
        async with site.serving(S1_REDIS_PASS=PASSWORD, S1_LOG_LEVEL="debug") as desk:
            received += [answer async for answer in refusals(desk)]
            for number, action in enumerate(POST_FAULTS):
                await site.sim.arm(POST, action)
                reply = await desk.transfer(f"secret{number}", str(80 + number))
                received.append(spoken(reply))
                received.append(spoken(await desk.read(f"transfer/secret{number}")))
            await admin.config_set("requirepass", WRONG_PASSWORD)
            await admin.client_kill_filter(_type="normal", skipme=True)
            await desk.service.readiness(503)
            received += [spoken(await desk.http.get(path)) for path in ("/health", "/metrics")]
            received.append(spoken(await desk.read("transfers")))
            await admin.config_set("requirepass", PASSWORD)
            await desk.service.readiness(200)
            assert await desk.service.stop() == 0
        fired = sum(await site.sim.fired())
        events: Any = await admin.xrange(OPERATIONS)

    assert fired >= len(POST_FAULTS) + len(READS)
    written = {
        "log": desk.service.output.encode(),
        "answers": b"\n".join(received),
        OPERATIONS: repr(events).encode(),
        **{path.name: path.read_bytes() for path in files(site.state_dir)},
    }
    found = [
        f"{name} in {place}"
        for place, text in written.items()
        for name, secret in SECRETS.items()
        if secret.encode() in text
    ]
    assert not found
    known = hashes(await site.entries(), await site.instruments())
    known |= {record.content_hash for record in await site.funding()}
    assert not {
        f"{place}: {digest.decode()}"
        for place, text in written.items()
        for digest in HEX_64.findall(text)
        if digest.decode() not in known
    }


async def test_the_password_of_arango_is_masked_in_the_log(
    site: TreasuryDeployment, free_tcp_port: int
) -> None:
    """The coordinator's port is the password: the log names the unreachable address with the
    password masked.
    """
    password = str(free_tcp_port)
    environ = site.environ(
        S1_DB_ARANGO_URI=f"http://127.0.0.1:{password}", S1_DB_ARANGO_PASS=password
    )
    async with service_process(site.state_dir, environ) as service:
        line = await service.logged("ledger store unavailable")

    assert "http://127.0.0.1:***" in line["message"]
    assert not [each for each in service.lines if password in each["message"]]


@asynccontextmanager
async def guarded(admin: Any) -> AsyncIterator[None]:
    """The Redis has a password during the block."""
    await admin.config_set("requirepass", PASSWORD)
    try:
        yield
    finally:
        await admin.config_set("requirepass", "")


async def refusals(desk: TreasuryServiceClient) -> AsyncIterator[bytes]:
    """The replies to unauthorised and malformed requests."""
    bodies: tuple[bytes, ...] = (
        b"",
        b"{",
        b"[]",
        b'{"from": "SPOT"}',
        b'{"from": "SPOT", "to": "SPOT", "amount_usdt": "1e400"}',
        b"x" * 10_000,
    )
    wrong = TRADER_TOKEN[:-4] + "AAAA"
    json = {"Content-Type": "application/json", "Idempotency-Key": "s"}
    for authorization in (
        f"Bearer {wrong}",
        f"Basic {TRADER_TOKEN}",
        f"Bearer {READER_TOKEN}",
        TRADER_TOKEN,
        "",
    ):
        headers = {**json, "Authorization": authorization}
        yield spoken(await desk.http.post(TRANSFER, headers=headers, content=b"{}"))
    for body in bodies:
        headers = {**json, "Authorization": f"Bearer {TRADER_TOKEN}"}
        yield spoken(await desk.http.post(TRANSFER, headers=headers, content=body))
    for amount in ("0.1", "1000000", "79", "78"):
        key = "reused" if amount in {"79", "78"} else f"limit{amount}"
        yield spoken(await desk.transfer(key, amount))


def spoken(reply: httpx2.Response) -> bytes:
    """All of it."""
    return repr(reply.headers).encode() + reply.content


def files(directory: Path) -> Iterable[Path]:
    """What the service has left on disk."""
    return [path for path in directory.rglob("*") if path.is_file()]


def hashes(entries: Iterable[LedgerEntry], instruments: Iterable[RegistryRow]) -> set[str]:
    """What looks like a signature and is none: the chain's hashes, those of wishes and requests,
    and those of instruments.
    """
    chain = {text for each in entries for text in (each.commit.hash, each.commit.prev_hash)}
    named = re.compile(r"'(?:request_hash|fingerprint)': '([0-9a-f]{64})'")
    events = repr([record.data for each in entries for record in each.commit.events])
    return chain | set(named.findall(events)) | {row.spec_hash for row in instruments}
