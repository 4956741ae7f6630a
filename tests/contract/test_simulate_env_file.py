"""`simulate --env-file`: the settings of a service that uses the simulator."""

import stat
from pathlib import Path

from chimera_s1.app.service_settings import load_settings
from chimera_s1.app.state_files import parse_env_lines
from tests.processes import finished, simulator_process


async def test_the_file_configures_a_service_while_the_simulator_runs(tmp_path: Path) -> None:
    path = tmp_path / "sim.env"
    async with simulator_process("--symbols", "BTCUSDT", "--env-file", str(path)) as running:
        given = parse_env_lines(path.read_text())
        settings = load_settings(given)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert settings.binance_perp_ws_url == running.ready["perp_ws_url"]
        assert settings.secret("binance_key")() == running.ready["api_key"]
        environment = {
            **given,
            "S1_SYMBOLS": "BTCUSDT",
            "S1_HTTP_PORT": "0",
            "S1_STATE_DIR": str(tmp_path),
        }
        assert given["SIM_URL"] == running.ready["control_url"]
        code, out, err = await finished("doctor", environment=environment)
        assert (code, "exchange status status 0 normal" in out) == (0, True), err
    assert not path.exists()


async def test_a_file_that_cannot_be_written_ends_the_simulator(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "sim.env"
    code, _, err = await finished("simulate", "--env-file", str(path))
    assert (code, "choose another path" in err) == (2, True), err
