"""A running service gets a new exchange key through its files."""

from pathlib import Path

from chimera_s1.adapters.simulator.config import DEMO_KEY
from chimera_s1.adapters.system.atomic_file import replacing
from tests.contract.treasury_service import TreasuryDeployment

REVOKED_KEY, REVOKED_SECRET = "k" * 64, "revoked-secret-never-shown"


def put(path: Path, secret: str) -> str:
    with replacing(path) as file:
        file.write(f"{secret}\n".encode())
    return str(path)


async def test_a_revoked_key_is_replaced_without_a_restart(
    site: TreasuryDeployment, tmp_path: Path
) -> None:
    """Transfers wait for a key that works; a wrong one put there later changes nothing."""
    key, secret = tmp_path / "key", tmp_path / "secret"
    given = {
        "S1_BINANCE_KEY": "",
        "S1_BINANCE_SECRET": "",
        "S1_BINANCE_KEY_FILE": put(key, REVOKED_KEY),
        "S1_BINANCE_SECRET_FILE": put(secret, REVOKED_SECRET),
    }
    async with site.serving(**given) as desk:
        await desk.service.logged("the exchange key: the exchange does not accept it")
        put(key, DEMO_KEY.key)
        put(secret, DEMO_KEY.secret)
        await desk.service.logged("the new exchange key is in use")
        await desk.service.logged("is claimed by this installation")
        assert (await desk.transferred("t1", "25"))["result"] == "OK"

        put(key, REVOKED_KEY)
        await desk.service.logged("the exchange refuses the new key in the files")
        assert (await desk.read_treasury_health())["level"] == "ORANGE"
        assert (await desk.transferred("t2", "26"))["result"] == "OK"
        for each in (REVOKED_KEY, REVOKED_SECRET, DEMO_KEY.key, DEMO_KEY.secret):
            assert each not in desk.service.output

    assert await site.moved() == ["SPOT 25", "SPOT 26"]
