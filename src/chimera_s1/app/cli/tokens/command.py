"""`chimera-s1 tokens`: who may call the HTTP API."""

import os
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from msgspec import Struct
from rich.table import Table

from chimera_s1.adapters.system.file_token_store import FileTokenStore
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.cli.shared.output import print_status, stdout_console
from chimera_s1.app.settings.settings import load_settings
from chimera_s1.app.settings.types import parse_enum_list
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import (
    SECRET_BYTES,
    TokenRecord,
    TokenState,
    make_token,
)
from chimera_s1.domain.errors import ConfigurationError

_KID_BYTES = 4
_DAY_MS = 86_400_000
_DAYS_MAX = 3_650
_EXAMPLE = "chimera-s1 tokens create --actor treasury-bot --scope treasury:transfer --days 90"

_File = Annotated[
    Path | None, typer.Option("--file", metavar="FILE", help="Default: S1_API_TOKENS_FILE.")
]

tokens = typer.Typer(
    no_args_is_help=True,
    help="Make, list and revoke the tokens that open the HTTP API.\n\n"
    "They are kept as hashes in the file S1_API_TOKENS_FILE, which a running service reads again "
    f"when it changes.\n\n    {_EXAMPLE}",
)


class TokenRow(Struct, frozen=True):
    """One token as `tokens list` shows it; times are ISO 8601 in UTC."""

    kid: str
    actor: str
    scopes: tuple[Scope, ...]
    created: str
    expires: str
    state: TokenState


@tokens.command()
def create(
    actor: Annotated[
        str, typer.Option(metavar="NAME", help="Who will hold it; shows in logs and events.")
    ],
    scope: Annotated[
        list[str],
        typer.Option(
            metavar="SCOPE,...",
            help=f"What it may be used for, repeated or comma separated: {', '.join(Scope)}.",
        ),
    ],
    days: Annotated[
        int | None, typer.Option(min=1, max=_DAYS_MAX, help="Valid so long. Default: for ever.")
    ] = None,
    file: _File = None,
) -> None:
    """Make a token and print it; it is shown this once, and kept nowhere.

    The file is made where it is missing, readable by its owner only. To replace a token, make the
    new one, hand it over, then revoke the old one.
    """
    path = _token_file(file)
    clock = SystemClock()
    now_ms = clock.now_ms()
    text, record = make_token(
        secrets.token_hex(_KID_BYTES),
        secrets.token_bytes(SECRET_BYTES),
        actor=actor,
        scopes=parse_enum_list(Scope, ",".join(scope)),
        created_at=now_ms,
        not_after=None if days is None else now_ms + days * _DAY_MS,
    )
    FileTokenStore(path, clock, allow_missing=True).put(record)
    typer.echo(text)
    until = "for ever" if record.not_after is None else f"until {_time(record.not_after)}"
    print_status(
        f"token {record.kid} of {actor} for {', '.join(record.scopes)}, valid {until}; its hash is "
        f"in {path}. It is shown this once: give it to {actor} now. A service with "
        f"S1_API_TOKENS_FILE={path} takes it within a second"
    )


@tokens.command("list")
def list_tokens(
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON array instead of a table.")
    ] = False,
    file: _File = None,
) -> None:
    """Show every token: kid, actor, scopes, when made, until when valid, and whether it
    still is.
    """
    clock = SystemClock()
    now_ms = clock.now_ms()
    records = FileTokenStore(_token_file(file), clock).records()
    rows = [_row(record, now_ms) for record in records]
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(rows)).decode())
        return
    console = stdout_console()
    if console.is_terminal:
        console.print(_table(rows))
        return
    for row in rows:
        typer.echo("\t".join(_cells(row)))


@tokens.command()
def revoke(
    kid: Annotated[str, typer.Argument(metavar="KID", help="Of the token, see tokens list.")],
    file: _File = None,
) -> None:
    """Take a token back; a running service refuses it within a second."""
    path = _token_file(file)
    clock = SystemClock()
    now_ms = clock.now_ms()
    store = FileTokenStore(path, clock)
    record = store.find(kid)
    if record is None:
        # Not quoted: whoever passes the token itself must not see it in a log.
        raise ConfigurationError(
            f"{path} has no token of that kid; chimera-s1 tokens list shows which it has"
        )
    if record.state_at(now_ms) is TokenState.REVOKED:
        print_status(f"token {kid} of {record.actor} was revoked before")
        return
    store.put(msgspec.structs.replace(record, revoked_at=now_ms))
    print_status(f"token {kid} of {record.actor} is revoked")


def _token_file(named: Path | None) -> Path:
    path = named or load_settings(os.environ).api_tokens_file
    if path is None:
        raise ConfigurationError(
            "which token file? name it with --file or S1_API_TOKENS_FILE, like "
            "--file .chimera/tokens.json"
        )
    return path


def _row(record: TokenRecord, now_ms: int) -> TokenRow:
    return TokenRow(
        kid=record.kid,
        actor=record.actor,
        scopes=record.scopes,
        created=_time(record.created_at),
        expires=_time(record.not_after) if record.not_after is not None else "",
        state=record.state_at(now_ms),
    )


def _cells(row: TokenRow) -> tuple[str, ...]:
    return (
        row.kid,
        row.actor,
        ",".join(row.scopes),
        row.created,
        row.expires or "never",
        row.state.value,
    )


def _table(rows: Sequence[TokenRow]) -> Table:
    table = Table("kid", "actor", "scopes", "made", "expires", "state")
    styles = {TokenState.VALID: "green", TokenState.EXPIRED: "yellow", TokenState.REVOKED: "dim"}
    for row in rows:
        table.add_row(*_cells(row), style=styles[row.state])
    return table


def _time(epoch_ms: int) -> str:
    return datetime.fromtimestamp(epoch_ms // 1000, UTC).isoformat()
