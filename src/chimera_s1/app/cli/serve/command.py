"""`chimera-s1 serve`: the service."""

import os

import anyio
import typer

from chimera_s1.app.settings.settings import load_settings


def serve() -> None:
    """Run the service until SIGTERM or Ctrl-C.

    Everything it needs to know is in the settings: `chimera-s1 config` lists them.
    """
    from chimera_s1.app import runtime  # noqa: PLC0415 (costs a second that no other command owes)

    settings = load_settings(os.environ)
    code = anyio.run(runtime.run, settings, backend_options={"use_uvloop": True})
    raise typer.Exit(code)
