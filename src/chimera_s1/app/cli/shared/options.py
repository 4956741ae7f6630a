"""Options that several commands have, and the settings with such options merged in."""

import os
from pathlib import Path
from typing import Annotated

import typer

from chimera_s1.app.service_settings import Settings, load_settings

StateDirOption = Annotated[
    Path | None,
    typer.Option(
        "--state-dir",
        metavar="DIR",
        help="State directory, also of the demo. Default: S1_STATE_DIR, else .chimera.",
    ),
]

JsonArrayOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON array instead of a table.")
]


def settings_with(state_dir: Path | None = None, **variables: str | None) -> Settings:
    """The settings of the environment; *state_dir* and `S1_*` *variables* override it.

    Raises:
        ConfigurationError: Values are wrong or names unknown.
    """
    given = {"S1_STATE_DIR": None if state_dir is None else str(state_dir), **variables}
    overrides = {name: text for name, text in given.items() if text is not None}
    return load_settings({**os.environ, **overrides})
