"""Runs `demo` for a person: shows progress, then the addresses and the next commands."""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio
import msgspec

from chimera_s1.app.cli.demo.processes import DemoPlan, choose_http_port, demo_environ, run_demo
from chimera_s1.app.cli.shared.output import StatusLine, print_json_text, print_line, print_status
from chimera_s1.app.service_settings import load_settings
from chimera_s1.app.state_files import DemoState, demo_file

_S10_TO_COME = {"S1_S10_URL": "http://127.0.0.1:1"}
"""S1_SYMBOLS=s10 needs an S10; the address of the demo's is known once it runs."""

_DEFAULT_DIRECTORY = Path(".chimera")


def run_demo_command(
    simulate: Sequence[str], *, http_port: int | None, state_dir: Path | None, as_json: bool
) -> None:
    """Run a demo until a signal.

    Args:
        simulate: Options of `simulate`.
        http_port: None for S1_HTTP_PORT if it is free, else any.
        state_dir: None for S1_STATE_DIR.
        as_json: Print the addresses as one JSON line instead of the summary.

    Raises:
        ConfigurationError: A setting is wrong, or another demo runs in the directory.
        ChildEndedError: A process of the demo exited by itself.
    """
    environ = demo_environ(os.environ)
    options = {"S1_HTTP_PORT": http_port, "S1_STATE_DIR": state_dir}
    given = {name: str(value) for name, value in options.items() if value is not None}
    settings = load_settings({**environ, **_S10_TO_COME, **given})
    plan = DemoPlan(
        state_dir=settings.state_dir,
        http_port=choose_http_port(http_port, settings.http_port),
        simulate=tuple(simulate),
        environ=environ,
    )
    anyio.run(_run, plan, as_json)


async def _run(plan: DemoPlan, as_json: bool) -> None:
    with StatusLine() as progress:

        def ready(state: DemoState) -> None:
            progress.stop()
            if as_json:
                print_json_text(_json(plan, state))
            else:
                print_line(_summary(plan, state))

        await run_demo(plan, progress=progress.show, ready=ready)
    print_status("demo stopped")


def _json(plan: DemoPlan, state: DemoState) -> str:
    shown = {
        "url": state.url,
        "redis_addresses": list(map(str, state.redis_addresses)),
        "sim_url": state.sim_url,
        "s10_url": state.s10_url,
        "demo_env": str(demo_file(plan.state_dir)),
    }
    return msgspec.json.encode(shown).decode()


def _summary(plan: DemoPlan, state: DemoState) -> str:
    first = state.redis_addresses[0]
    shell_file = demo_file(plan.state_dir)
    where = "" if plan.state_dir == _DEFAULT_DIRECTORY else f" --state-dir {plan.state_dir}"
    return f"""\
The demo is running.

  HTTP API       {state.url}/schema
  health         {state.url}/health
  metrics        {state.url}/metrics
  Redis Cluster  {", ".join(map(str, state.redis_addresses))}
  simulator      {state.sim_url}/sim/status
  S10            {state.s10_url}/active
  logs           {plan.state_dir}/serve.log
                 {plan.state_dir}/simulate.log

In another terminal:

  {_program()} tail{where}
  {_program()} funding show BTCUSDT --days 30{where}
  {_program()} funding gaps{where}
  . {shell_file if shell_file.is_absolute() else f"./{shell_file}"}
  curl -s $S1_URL/health
  curl -s -H "Authorization: Bearer $S1_TOKEN" $S1_URL/xchg/quotes/spot/BTCUSDT
  redis-cli -c -h {first.host} -p {first.port} XREVRANGE mkt:events:spot:BTCUSDT + - COUNT 1

Ctrl-C stops everything."""


def _program() -> str:
    """The name of this command, as it can be typed in another terminal of this directory."""
    called = Path(sys.argv[0])
    if shutil.which(called.name) or called.name != "chimera-s1":
        return "chimera-s1"
    return os.path.relpath(called)
