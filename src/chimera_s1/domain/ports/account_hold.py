"""Port: whether this installation may spend money of the exchange account."""

from typing import Protocol


class AccountHold(Protocol):
    def reason(self) -> str:
        """Why not: another installation claims the account, or that is not known yet. Empty if this
        one holds the claim, and where there are no claims. Reads memory.
        """
        ...
