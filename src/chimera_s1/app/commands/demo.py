"""
`chimera-s1 demo`: the whole service on this machine.
"""

import os
from pathlib import Path
from typing import Annotated

import anyio
import msgspec
import typer

from chimera_s1.app.commands.output import Progress, note
from chimera_s1.app.demo import DemoPlan, choose_http_port, demo_environ, run_demo
from chimera_s1.app.demo_state import DemoState, demo_file
from chimera_s1.app.settings import load_settings

_SIMULATOR, _SERVICE = "Simulator", "Service"


def demo(
    rate: Annotated[
        float,
        typer.Option(
            min=0.1,
            help="Book updates per second over all symbols.",
            rich_help_panel=_SIMULATOR,
        ),
    ] = 200,
    symbols: Annotated[
        str,
        typer.Option(
            help="How many USDT symbols each venue trades, or their names (BTCUSDT,ETHUSDT).",
            rich_help_panel=_SIMULATOR,
        ),
    ] = "20",
    http_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65_535,
            metavar="PORT",
            help="Of the HTTP API; 0 takes any free one. Default: 8080, or a free one if taken.",
            rich_help_panel=_SERVICE,
        ),
    ] = None,
    state_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="For demo.env and logs. Default: S1_STATE_DIR, else .chimera.",
            rich_help_panel=_SERVICE,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON line with the addresses when ready.")
    ] = False,
) -> None:
    """
    Run the whole service on this machine: Binance simulator, Redis Cluster, connector.

    No account and no network is needed. Once everything is up, demo.env in the state directory
    names where to reach it; Ctrl-C ends everything. Other S1_* settings apply to the service.

        chimera-s1 demo --symbols 300 --rate 10000
    """
    environ = demo_environ(os.environ)
    settings = load_settings(environ)
    plan = DemoPlan(
        state_dir=state_dir or Path(os.environ.get("S1_STATE_DIR") or settings.state_dir),
        http_port=choose_http_port(http_port, settings.http_port),
        simulate=("--rate", f"{rate:g}", "--symbols", symbols),
        environ=environ,
    )
    anyio.run(_run, plan, as_json)


async def _run(plan: DemoPlan, as_json: bool) -> None:
    with Progress() as progress:

        def ready(state: DemoState) -> None:
            progress.stop()
            typer.echo(_json(plan, state) if as_json else _summary(plan, state))

        await run_demo(plan, progress=progress.show, ready=ready)
    note("the demo has ended")


def _json(plan: DemoPlan, state: DemoState) -> str:
    shown = {
        "url": state.url,
        "redis_addresses": list(map(str, state.redis_addresses)),
        "sim_url": state.sim_url,
        "demo_env": str(demo_file(plan.state_dir)),
    }
    return msgspec.json.encode(shown).decode()


def _summary(plan: DemoPlan, state: DemoState) -> str:
    first = state.redis_addresses[0]
    shell_file = demo_file(plan.state_dir)
    return f"""\
The demo is up.

  console page   {state.url}/
  HTTP API       {state.url}/schema   health: {state.url}/health   metrics: {state.url}/metrics
  Redis Cluster  {", ".join(map(str, state.redis_addresses))}
  simulator      {state.sim_url}/sim/status
  logs           {plan.state_dir}/serve.log {plan.state_dir}/simulate.log

In another terminal:

  chimera-s1 tail{"" if plan.state_dir == Path(".chimera") else f" --state-dir {plan.state_dir}"}
  . {shell_file if shell_file.is_absolute() else f"./{shell_file}"}
  curl -s $S1_URL/health
  redis-cli -c -h {first.host} -p {first.port} XREVRANGE mkt:events:spot:BTCUSDT + - COUNT 1

Ctrl-C ends everything."""
