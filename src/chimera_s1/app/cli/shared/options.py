"""Options that several commands have, and the settings with such options merged in."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from chimera_s1.app.service_settings import Settings

EMBEDDED_REDIS = dict.fromkeys(
    (
        "S1_REDIS_ADDRESSES",
        "S1_REDIS_USER",
        "S1_REDIS_PASS",
        "S1_REDIS_PASS_FILE",
        "S1_REDIS_TLS",
        "S1_REDIS_TLS_CA_FILE",
        "S1_REDIS_TLS_CERT_FILE",
        "S1_REDIS_TLS_KEY_FILE",
    ),
    "",
)
"""Unsets what is about a cluster of others: an embedded one has no users and no TLS."""

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


def settings_with(state_dir: Path | None = None, **variables: str | None) -> "Settings":
    """The settings of the environment; *state_dir* and `S1_*` *variables* override it.

    They are judged afterwards: a rule holds for what the command uses. None overrides nothing, an
    empty text unsets.

    Raises:
        ConfigurationError: Values are wrong or names unknown.
    """
    given = {"S1_STATE_DIR": None if state_dir is None else str(state_dir), **variables}
    overrides = {name: text for name, text in given.items() if text is not None}
    return _load({**os.environ, **overrides})


def settings_with_redis(state_dir: Path | None, named: str | None) -> "Settings":
    """`settings_with` the nodes of an option; None for an embedded Redis, which needs no setting.

    Raises:
        InvalidValueError: *named* is not a list of nodes.
        ConfigurationError: As `settings_with`.
    """
    if named is None:
        return settings_with(state_dir, **EMBEDDED_REDIS)
    from chimera_s1.app.settings.types import parse_nodes  # noqa: PLC0415 (help is quick)

    parse_nodes(named)  # its error is about the option, not about S1_REDIS_ADDRESSES
    return settings_with(state_dir, S1_REDIS_ADDRESSES=named)


def state_directory(state_dir: Path | None, environ: Mapping[str, str]) -> Path:
    """*state_dir*, else that of *environ*: where to look for a demo before settings are judged."""
    given = {"S1_STATE_DIR": str(state_dir) if state_dir else environ.get("S1_STATE_DIR", "")}
    return _load(given).state_dir


def _load(environ: Mapping[str, str]) -> "Settings":
    from chimera_s1.app.service_settings import load_settings  # noqa: PLC0415 (help is quick)

    return load_settings(environ)
