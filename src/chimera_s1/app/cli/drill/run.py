"""Drilling: where the demo is, which drills are run there, and the table of what they found."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import typer
from msgspec import Struct

from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.cli.drill.drill import Drill
from chimera_s1.app.cli.drill.environment import DrillEnvironment, DrillTarget, drill_environment
from chimera_s1.app.cli.drill.observer import ServiceObserver
from chimera_s1.app.cli.drill.report import print_catalogue, print_results, results_as_json
from chimera_s1.app.cli.drill.runner import DrillRunner
from chimera_s1.app.cli.drill.scenarios import DRILLS, choose
from chimera_s1.app.cli.shared.output import StatusLine, print_status
from chimera_s1.app.cli.shared.stream_store_location import StreamStoreLocation, connected
from chimera_s1.app.settings.settings import Settings, load_settings
from chimera_s1.app.settings.types import parse_nodes
from chimera_s1.app.state_files import demo_file, read_demo_state
from chimera_s1.domain.errors import ConfigurationError

UPDATES_PER_INSTRUMENT = 5.0
"""Updates per second that give every instrument a quote in every window."""


class DrillOptions(Struct, frozen=True):
    """What the user asked for; None is the demo's.

    Attributes:
        names: Of drills; none is all.
    """

    names: tuple[str, ...]
    as_json: bool
    state_dir: Path | None
    url: str | None
    sim: str | None
    redis: str | None


def list_drills(*, as_json: bool) -> None:
    """Print every built-in drill with its targets."""
    print_catalogue(DRILLS, as_json=as_json)


async def run_drills(environ: Mapping[str, str], options: DrillOptions) -> bool:
    """Run the drills and print what they found; whether every target was reached.

    Raises:
        ConfigurationError: There is nothing to drill, or a drill would break somebody's Redis.

        InvalidValueError: There is no such drill.

        DrillGroundError: Service or simulator do not answer.
    """
    settings = load_settings(environ)
    chosen = choose(options.names)
    place = find_target(settings, options)
    drills = _allowed_drills(chosen, place, named=bool(options.names))
    print_status(f"drilling {place.url} with {place.sim_url}, reading {place.redis}")
    with StatusLine() as progress:
        async with _drill_runner(place, settings, progress) as practice:
            rows = [await practice.run(each) for each in drills]
    if options.as_json:
        typer.echo(results_as_json(rows))
    else:
        print_results(rows)
    return all(row.passed for row in rows)


def find_target(settings: Settings, options: DrillOptions) -> DrillTarget:
    """The demo that runs, with what the user named in place of its own.

    Raises:
        ConfigurationError: No demo runs, and not everything was named.
    """
    state_dir = options.state_dir or settings.state_dir
    demo = read_demo_state(state_dir)
    if demo is None and None in {options.url, options.sim, options.redis}:
        raise ConfigurationError(
            f"nothing to drill: no demo runs in {state_dir}; start chimera-s1 demo in another "
            "terminal, or name --url, --sim and --redis"
        )
    if options.redis is not None:
        location = StreamStoreLocation(parse_nodes(options.redis), "--redis")
    else:
        assert demo is not None, "checked above"
        location = StreamStoreLocation(demo.redis_addresses, str(demo_file(state_dir)))
    return DrillTarget(
        url=_base(options.url or (demo.url if demo else "")),
        sim_url=_base(options.sim or (demo.sim_url if demo else "")),
        redis=location,
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
        print_status(f"left out, because --redis was named: {', '.join(refused)}")
    return [drill for drill in drills if drill.name not in refused]


@asynccontextmanager
async def _drill_runner(
    place: DrillTarget, settings: Settings, progress: StatusLine
) -> AsyncIterator[DrillRunner]:
    clock = SystemClock()
    async with (
        drill_environment(place, settings) as ground,
        connected(place.redis, settings) as client,
        _faster_market(ground),
    ):
        recorder = ServiceObserver(client, place.url, clock)
        await recorder.begin()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(recorder.run)
            yield DrillRunner(ground, recorder, clock, progress.show)
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def _faster_market(ground: DrillEnvironment) -> AsyncIterator[None]:
    """While the block lasts the market moves fast enough to be counted."""
    state = await ground.simulator_state()
    subscriptions = sum(venue.subscriptions for venue in state.venues.values())
    await ground.set_rate(max(state.rate, UPDATES_PER_INSTRUMENT * max(1, subscriptions)))
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await ground.set_rate(state.rate)


def _base(url: str) -> str:
    return url.rstrip("/")
