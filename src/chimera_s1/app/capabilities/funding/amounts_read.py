"""What a run that completes amounts has done, and what it could not do."""

from collections.abc import Sequence

from msgspec import Struct, field

from chimera_s1.app.utc_time import format_utc
from chimera_s1.domain.operations.health import count

NAMES_MAX = 1_000
"""Rows that are named; further ones are left out."""

_NAMES_SHOWN = 5


class AmountsRead(Struct, kw_only=True):
    """A run adds to it as it goes on.

    Attributes:
        account: Whose amounts; None without a key, or while it is not known.
        written: Records with a new or more complete amount.
        disputed: Amounts that contradict a stored one and had not been reported.
        refused: Records that the store refuses for good.
        requests: Sent to the exchange.
        unusable: Income rows that cannot be read, with the reason.
        unmatched: Income rows whose settlement has no rate after a day.
        other_accounts: Accounts whose stored amounts were kept.
        without_price: Assets without a market in USDT.
        verified_through: Epoch ms; None if nothing is proven.
        obstacles: Why amounts are missing, or not proven.
        is_cut_short: The exchange has failed, so the rest was not read.
    """

    account: str | None = None
    written: int = 0
    disputed: int = 0
    refused: int = 0
    requests: int = 0
    unusable: list[str] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)
    other_accounts: set[str] = field(default_factory=set)
    without_price: set[str] = field(default_factory=set)
    verified_through: int | None = None
    obstacles: list[str] = field(default_factory=list)
    is_cut_short: bool = False

    def name_unmatched(self, row: str) -> None:
        if len(self.unmatched) < NAMES_MAX:
            self.unmatched.append(row)

    def name_unusable(self, row: str) -> None:
        if row not in self.unusable and len(self.unusable) < NAMES_MAX:
            self.unusable.append(row)

    @property
    def problem(self) -> str:
        """One sentence; empty if all amounts are there that the exchange has published."""
        found = [
            *self.obstacles,
            *([f"rows that cannot be read: {_name(self.unusable)}"] if self.unusable else []),
            *([f"{count(self.refused, 'record')} refused by the store"] if self.refused else []),
            *([f"income without a rate: {_name(self.unmatched)}"] if self.unmatched else []),
            *self._kept_amounts(),
        ]
        return "; ".join(found)

    @property
    def sentence(self) -> str:
        """For the result of a job."""
        if self.account is None:
            return self.problem or "no exchange key, so amounts are not read"
        through = self.verified_through
        parts = [
            f"{count(self.written, 'amount')} of {self.account} written",
            *([f"{self.disputed} disputed"] if self.disputed else []),
            *([f"no USDT price of {_name(sorted(self.without_price))}"] * bool(self.without_price)),
            "none proven" if through is None else f"proven until {format_utc(through)}",
            *([self.problem] if self.problem else []),
        ]
        return "; ".join(parts)

    def _kept_amounts(self) -> list[str]:
        if not self.other_accounts:
            return []
        accounts = _name(sorted(self.other_accounts))
        return [f"amounts of {accounts} are kept; a record has the amount of one account"]


def _name(texts: Sequence[str]) -> str:
    more = len(texts) - _NAMES_SHOWN
    return ", ".join([*texts[:_NAMES_SHOWN], *([f"{more} more"] if more > 0 else [])])
