"""A key with wrong permissions: named by `doctor` and `/health`; what is public goes on."""

import json
from pathlib import Path
from typing import Any

import httpx2

from chimera_s1.adapters.redis.embedded.embedded_redis import EmbeddedRedis
from chimera_s1.adapters.system.file_token_store import write_token_file
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import make_token
from tests.contract.service_process import (
    StreamReader,
    redis_at,
    service_process,
    simulated,
)
from tests.processes import finished, simulator_process
from tests.time_limits import TIMEOUT_S

STREAM = "mkt:events:perp:BTCUSDT"
NAMED = "it may not use futures, so their income, which proves transfers"
NO_ORDERS = (
    "the key may not trade on spot: enable Spot & Margin Trading for it",
    "the key may not trade futures: enable Futures for it",
)
REFUSED = "-2015 Invalid API-key, IP, or permissions for action."
OPERATOR_TOKEN, OPERATOR = make_token(
    "operator", b"o" * 32, actor="on-call", scopes=[Scope.JOBS_RUN, Scope.READ], created_at=0
)


async def test_a_key_with_wrong_permissions_is_named_and_what_is_public_goes_on(
    redis_binary: Path, tmp_path: Path
) -> None:
    async with (
        simulator_process("--symbols", "BTCUSDT", "--rate", "20") as simulator,
        EmbeddedRedis(tmp_path / "redis", binary=redis_binary) as redis,
        httpx2.AsyncClient(base_url=simulator.ready["control_url"], timeout=TIMEOUT_S) as control,
    ):
        wrong = {"permissions": {"futures": False, "spot_trading": False}}
        (await control.post("/sim/wallet", json=wrong)).raise_for_status()
        write_token_file(tmp_path / "tokens.json", [OPERATOR])
        environ = {
            **simulated(simulator.ready, "BTCUSDT"),
            "S1_BINANCE_KEY": simulator.ready["api_key"],
            "S1_BINANCE_SECRET": simulator.ready["api_secret"],
            "S1_REDIS_ADDRESSES": str(redis.addresses[0]),
            "S1_API_TOKENS_FILE": str(tmp_path / "tokens.json"),
        }
        async with service_process(tmp_path / "state", environ) as service:
            await service.logged(f"the exchange key: {NAMED}")
            async with redis_at(redis.addresses[0].port) as client:
                reader = StreamReader(client, STREAM, after="$")
                await reader.next()
            async with httpx2.AsyncClient(
                base_url=await service.url(),
                timeout=TIMEOUT_S,
                headers={"Authorization": f"Bearer {OPERATOR_TOKEN}"},
            ) as http:
                (await http.post("/xchg/instruments/sync")).raise_for_status()
                health = (await http.get("/health")).json()
                contract = (await http.get("/xchg/instruments/perp/BTCUSDT")).json()
        code, out, _ = await finished(
            "doctor", "--json", environment={**environ, "S1_STATE_DIR": str(tmp_path / "state")}
        )

    details = {each["name"]: each["detail"] for each in health["components"]}
    assert f"the exchange key: {NAMED}" in details["treasury"]
    assert "leverage brackets were refused, chimera-s1 doctor checks" in details["instruments"]
    assert REFUSED in details["instruments"]
    assert (contract["status"], contract["leverage_brackets"]) == ("TRADING", None)
    findings: dict[str, Any] = {row["name"]: row for row in json.loads(out)}
    failed = [name for name, row in findings.items() if row["grade"] == "FAIL"]
    assert failed == ["exchange key", "account"]
    assert NAMED in findings["exchange key"]["remedy"]
    assert all(words in findings["account"]["detail"] for words in NO_ORDERS)
    assert "its permissions" in findings["account"]["remedy"]
    assert code == 1
