"""`chimera-s1 serve`: run the service."""

import os

import anyio
import typer


def serve() -> None:
    """Run the service until SIGTERM or Ctrl-C.

    It takes no options but the settings: `chimera-s1 config` lists them.
    """
    from chimera_s1.app import runtime  # noqa: PLC0415 (loading it takes a second)
    from chimera_s1.app.service_settings import load_settings  # noqa: PLC0415 (half a second)

    settings = load_settings(os.environ)
    code = anyio.run(runtime.run, settings, backend_options={"use_uvloop": True})
    raise typer.Exit(code)
