"""`chimera-s1 jobs`: what runs at regular times, and running it now."""

from typing import Annotated

import anyio
import typer

from chimera_s1.app.cli.shared.options import JsonArrayOption, StateDirOption, settings_with

jobs = typer.Typer(no_args_is_help=True, help="Show the jobs of a running service, or run one now.")

_Url = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="The service. Default: S1_URL, else the demo's."),
]


@jobs.command("list")
def list_jobs(
    as_json: JsonArrayOption = False, url: _Url = None, state_dir: StateDirOption = None
) -> None:
    """List all jobs: last run, result, next run, what the last run did.

    Needs S1_TOKEN with the scope read (and S1_URL), or a demo running on this
    machine. A job that runs on one instance is shown the same by all.
    """
    from chimera_s1.app.cli.jobs.run import print_jobs  # noqa: PLC0415 (help is quick)

    anyio.run(print_jobs, settings_with(state_dir), url, as_json)


@jobs.command("run")
def run_job(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the job, see jobs list.")],
    wait: Annotated[
        float, typer.Option(min=0, metavar="S", help="Seconds to wait for the result.")
    ] = 60.0,
    url: _Url = None,
    state_dir: StateDirOption = None,
) -> None:
    """Run a job now, on the instance that runs it, and print its result.

    Needs S1_TOKEN with the scope jobs:run and read. Runs of a job never
    overlap: a job that is running is not run again.

    Exit codes: 0 the run succeeded; 1 it failed, or has not ended in time;
    2 wrong arguments or settings.
    """
    from chimera_s1.app.cli.jobs.run import run_and_print  # noqa: PLC0415 (help is quick)

    if not anyio.run(run_and_print, settings_with(state_dir), url, name, wait):
        raise typer.Exit(1)
