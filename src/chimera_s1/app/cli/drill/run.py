"""Runs `drill`: finds the demo, runs the chosen drills there, prints the results."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
from msgspec import Struct

from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.cli.drill.drill import Drill
from chimera_s1.app.cli.drill.environment import DrillEnvironment, DrillTarget
from chimera_s1.app.cli.drill.observer import ServiceObserver
from chimera_s1.app.cli.drill.report import print_catalogue, print_results
from chimera_s1.app.cli.drill.runner import DrillRunner
from chimera_s1.app.cli.drill.scenarios import DRILLS, choose
from chimera_s1.app.cli.shared.base_url import parse_base_url
from chimera_s1.app.cli.shared.output import StatusLine, print_status
from chimera_s1.app.cli.shared.stream_store_location import (
    StreamStoreLocation,
    connected,
    find_demo_redis,
)
from chimera_s1.app.service_settings import Settings
from chimera_s1.app.settings.types import parse_nodes
from chimera_s1.app.state_files import read_demo_state
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1_client import HttpSession

REPLY_TIMEOUT_S = 5.0
"""Of the service and the simulator."""


class DrillOptions(Struct, frozen=True):
    """What the user asked for; None is the demo's, no *names* means all drills."""

    names: tuple[str, ...]
    as_json: bool
    url: str | None
    sim: str | None
    redis: str | None


def list_drills(*, as_json: bool) -> None:
    print_catalogue(DRILLS, as_json=as_json)


async def run_drills(settings: Settings, options: DrillOptions) -> bool:
    """Run the drills and print their results; whether every target was reached.

    Raises:
        ConfigurationError: No demo runs, or a drill would break a Redis that is not the demo's.
        InvalidValueError: A name is unknown.
        DrillEnvironmentError: The service or the simulator does not answer.
    """
    chosen = choose(options.names)
    target = find_target(settings, options)
    drills = _allowed_drills(chosen, target, named=bool(options.names))
    print_status(f"drilling {target.url} with {target.sim_url}, reading {target.redis}")
    with StatusLine() as progress:
        async with _drill_runner(target, settings, progress) as runner:
            results = [await runner.run(each) for each in drills]
    print_results(results, as_json=options.as_json)
    return all(result.passed for result in results)


def find_target(settings: Settings, options: DrillOptions) -> DrillTarget:
    """The running demo, with the addresses that the user named in place of its own.

    Raises:
        ConfigurationError: No demo runs, and not every address was named.
    """
    demo = read_demo_state(settings.state_dir)
    url = options.url or (demo.url if demo else None)
    sim_url = options.sim or (demo.sim_url if demo else None)
    redis = None
    if options.redis is not None:
        redis = StreamStoreLocation(parse_nodes(options.redis), "--redis")
    else:
        redis = find_demo_redis(settings.state_dir)
    if url is None or sim_url is None or redis is None:
        raise ConfigurationError(
            f"nothing to drill: no demo runs in {settings.state_dir}; start chimera-s1 demo in "
            "another terminal, or name --url, --sim and --redis"
        )
    return DrillTarget(
        url=parse_base_url(url, "the service's address"),
        sim_url=parse_base_url(sim_url, "the simulator's address"),
        redis=redis,
        own_redis=options.redis is None,
    )


def _allowed_drills(drills: Sequence[Drill], target: DrillTarget, *, named: bool) -> list[Drill]:
    """*drills* without those that would break a Redis that is not the demo's own."""
    refused = [drill.name for drill in drills if drill.needs_own_redis and not target.own_redis]
    if refused and named:
        raise ConfigurationError(
            f"{', '.join(refused)} would stop a Redis that was named with --redis; only a demo's "
            "own is broken: start chimera-s1 demo and leave --redis out"
        )
    if refused:
        print_status(f"skipped, because --redis was named: {', '.join(refused)}")
    return [drill for drill in drills if drill.name not in refused]


@asynccontextmanager
async def _drill_runner(
    target: DrillTarget, settings: Settings, progress: StatusLine
) -> AsyncIterator[DrillRunner]:
    clock = SystemClock()
    async with (
        connected(target.redis, settings) as breaking,
        connected(target.redis, settings) as observing,
        HttpSession(target.sim_url, timeout_s=REPLY_TIMEOUT_S) as simulator,
        HttpSession(target.url, timeout_s=REPLY_TIMEOUT_S) as service,
    ):
        environment = DrillEnvironment(target, breaking, simulator)
        observer = ServiceObserver(observing, service, clock)
        await observer.begin()
        async with environment.faster_market(), anyio.create_task_group() as tasks:
            tasks.start_soon(observer.run)
            yield DrillRunner(environment, observer, clock, progress.show)
            tasks.cancel_scope.cancel()
