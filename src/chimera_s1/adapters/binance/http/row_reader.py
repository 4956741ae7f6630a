"""Decodes the rows of a reply one by one: a row that cannot be used does not cost the others."""

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct

from chimera_s1.adapters.binance.http.reply_classification import sanitize
from chimera_s1.domain.errors import ExchangeUnavailableError, InvalidValueError
from chimera_s1.domain.identifiers import Symbol, parse_symbol

NAMED_MAX = 1_000
"""Unusable rows that are named; further ones are skipped without a report."""

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class UnusableRow(Struct, frozen=True):
    """*source* is the request, *name* the row's symbol or its first bytes."""

    source: str
    name: str
    reason: str


class _Named(Struct):
    symbol: str


def log_unusable_row(row: UnusableRow) -> None:
    _log.warning("%s: skipping row %s: %s", row.source, row.name, row.reason)


class RowReader:
    """Args:
    report: Called once for each symbol and reason; once for each reason where a row has no symbol.
    """

    def __init__(self, report: Callable[[UnusableRow], None] = log_unusable_row) -> None:
        self._report = report
        self._named: set[tuple[str, str, str]] = set()

    def read(self, source: str, rows: Iterable[Raw], decode: Callable[[Raw], _T]) -> list[_T]:
        """The rows that *decode* can read; it raises a msgspec error or `InvalidValueError`.

        Raises:
            ExchangeUnavailableError: There are rows, and not one can be read.
        """
        usable: list[_T] = []
        unusable: UnusableRow | None = None
        for row in rows:
            decoded = self.read_row(source, row, decode)
            if isinstance(decoded, UnusableRow):
                unusable = decoded
            else:
                usable.append(decoded)
        if unusable is not None and not usable:
            raise ExchangeUnavailableError(
                f"{source}: not one row can be used; for example {unusable.name}: {unusable.reason}"
            )
        return usable

    def read_row(self, source: str, row: Raw, decode: Callable[[Raw], _T]) -> _T | UnusableRow:
        """As `read`, for one row."""
        try:
            return decode(row)
        except (
            msgspec.DecodeError,
            UnicodeDecodeError,
            RecursionError,
            InvalidValueError,
        ) as error:
            name = _name(row)
            shown = name or sanitize(bytes(row)[:80].decode(errors="replace"))
            unusable = UnusableRow(source, shown, sanitize(str(error)))
            self._name_once(unusable, name)
            return unusable

    def _name_once(self, row: UnusableRow, name: str) -> None:
        # Not by its first bytes: a row of a stream differs each time.
        key = row.source, name, row.reason
        if key not in self._named and len(self._named) < NAMED_MAX:
            self._named.add(key)
            self._report(row)


def symbol_of(row: Raw) -> Symbol | None:
    """Of a row that is unusable otherwise; None where it has none."""
    try:
        return parse_symbol(msgspec.json.decode(row, type=_Named).symbol)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidValueError):
        return None


def _name(row: Raw) -> str:
    """Empty for a row without one; `s` in the rows of a stream."""
    try:
        fields = msgspec.json.decode(row)
        return sanitize(str(fields["symbol"] if "symbol" in fields else fields["s"]))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, LookupError, TypeError):
        return ""
