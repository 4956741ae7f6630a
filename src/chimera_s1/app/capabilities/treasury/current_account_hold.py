"""What holds this installation's use of the exchange account now, for other capabilities."""

from collections.abc import Callable


class CurrentAccountHold:
    """Implements `domain.ports.account_hold.AccountHold`; `open_treasury` fills it. Without it,
    nothing holds: on testnet, which has no wallet, accounts are not claimed.
    """

    def __init__(self) -> None:
        self._reason: Callable[[], str] = str

    def reason(self) -> str:
        return self._reason()

    def follow(self, reason: Callable[[], str]) -> None:
        self._reason = reason
