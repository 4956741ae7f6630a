"""`chimera-s1 tokens`: create, list and revoke the tokens of the HTTP API."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from msgspec import Struct
from msgspec.structs import replace
from rich.box import SIMPLE_HEAD
from rich.table import Table

from chimera_s1.adapters.system.file_token_store import FileTokenStore
from chimera_s1.adapters.system.system_clock import SystemClock
from chimera_s1.app.cli.shared.options import JsonArrayOption, settings_with
from chimera_s1.app.cli.shared.output import (
    print_cells,
    print_json,
    print_line,
    print_status,
    stdout_console,
)
from chimera_s1.app.settings.types import parse_enum_list
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import SECRET_BYTES, TokenRecord, TokenState, make_token
from chimera_s1.domain.errors import ConfigurationError

_KID_BYTES = 4
_DAY_MS = 86_400_000
_DAYS_MAX = 3_650
_EXAMPLE = "chimera-s1 tokens create --actor bot --scope treasury:transfer --days 90"

_File = Annotated[
    Path | None, typer.Option("--file", metavar="FILE", help="Default: S1_API_TOKENS_FILE.")
]

tokens = typer.Typer(
    no_args_is_help=True,
    help="Create, list and revoke the tokens of the HTTP API.\n\n"
    "Their hashes are kept in the file S1_API_TOKENS_FILE, which a running\n"
    f"service reads again when it changes.\n\n    {_EXAMPLE}",
)


class TokenRow(Struct, frozen=True):
    """One token in `tokens list`; times are ISO 8601 in UTC."""

    kid: str
    actor: str
    scopes: tuple[Scope, ...]
    created: str
    expires: str
    state: TokenState


@tokens.command()
def create(
    actor: Annotated[
        str, typer.Option(metavar="NAME", help="Owner of the token; appears in logs and events.")
    ],
    scope: Annotated[
        list[str],
        typer.Option(
            metavar="SCOPE,...",
            help=f"Permissions, repeated or comma separated: {', '.join(Scope)}.",
        ),
    ],
    days: Annotated[
        int | None,
        typer.Option(
            min=1, max=_DAYS_MAX, metavar="N", help="Valid for N days. Default: for ever."
        ),
    ] = None,
    file: _File = None,
) -> None:
    """Create a token and print it. It is shown once; only its hash is stored.

    The file is created if it is missing, readable by its owner only. To replace
    a token, create the new one, hand it over, then revoke the old one.
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
    print_line(text)
    until = "for ever" if record.not_after is None else f"until {_time(record.not_after)}"
    print_status(
        f"token {record.kid} of {actor} for {', '.join(record.scopes)}, valid {until}; its hash is "
        f"in {path}. It is shown only once: give it to {actor} now. A service with "
        f"S1_API_TOKENS_FILE={path} accepts it within a second"
    )


@tokens.command("list")
def list_tokens(
    as_json: JsonArrayOption = False,
    file: _File = None,
) -> None:
    """List all tokens: kid, actor, scopes, created, expires, state."""
    clock = SystemClock()
    now_ms = clock.now_ms()
    records = FileTokenStore(_token_file(file), clock).records()
    rows = [_row(record, now_ms) for record in records]
    if as_json:
        print_json(rows)
        return
    console = stdout_console()
    if console.is_terminal:
        console.print(_table(rows))
        return
    for row in rows:
        print_cells(_cells(row))


@tokens.command()
def revoke(
    kid: Annotated[str, typer.Argument(metavar="KID", help="Id of the token, see tokens list.")],
    file: _File = None,
) -> None:
    """Revoke a token; a running service refuses it within a second."""
    path = _token_file(file)
    clock = SystemClock()
    now_ms = clock.now_ms()
    store = FileTokenStore(path, clock)
    record = store.find(kid)
    if record is None:
        # Not quoted: if it is the token itself, it must not reach a log.
        raise ConfigurationError(
            f"{path} has no token of that kid; chimera-s1 tokens list shows the kids"
        )
    if record.state_at(now_ms) is TokenState.REVOKED:
        print_status(f"token {kid} of {record.actor} was already revoked")
        return
    store.put(replace(record, revoked_at=now_ms))
    print_status(f"token {kid} of {record.actor} is revoked")


def _token_file(named: Path | None) -> Path:
    path = named or settings_with().api_tokens_file
    if path is None:
        raise ConfigurationError(
            "no token file: name it with --file or S1_API_TOKENS_FILE, like "
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
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=0)
    for name in ("kid", "actor", "scopes", "created", "expires", "state"):
        table.add_column(name, overflow="fold", no_wrap=name != "actor")
    styles = {TokenState.VALID: "green", TokenState.EXPIRED: "yellow", TokenState.REVOKED: "dim"}
    for row in rows:
        table.add_row(
            row.kid,
            row.actor,
            "\n".join(row.scopes),
            _day(row.created),
            _day(row.expires) or "never",
            row.state.value,
            style=styles[row.state],
        )
    return table


def _day(time: str) -> str:
    return time.partition("T")[0]


def _time(epoch_ms: int) -> str:
    return datetime.fromtimestamp(epoch_ms // 1000, UTC).isoformat()
