"""Port: permissions of our API key at the exchange."""

from typing import Protocol

from msgspec import Struct


class KeyPermissions(Struct, frozen=True, kw_only=True):
    """Permissions of a key.

    Attributes:
        may_read: Accounts and histories; required for reconciliation.
        may_transfer: Between wallets, in the configured treasury mode.
        may_use_futures: Read the futures account: its income, which proves transfers, and brackets.
        may_withdraw: Never needed; a key with this permission is a danger.
    """

    may_read: bool
    may_transfer: bool
    may_use_futures: bool
    may_withdraw: bool
    ip_restricted: bool

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, and what to change at the exchange."""
        wrong = (
            (self.may_withdraw, "it may withdraw from the exchange; remove that permission"),
            (
                not self.may_transfer,
                "it may not transfer between wallets; enable Permits Universal Transfer",
            ),
            (
                not self.may_read,
                (
                    "it may not read histories, so unknown outcomes cannot be reconciled; enable "
                    "reading"
                ),
            ),
            (
                not self.may_use_futures,
                (
                    "it may not use futures, so their income, which proves transfers, and leverage "
                    "brackets cannot be read; enable Futures"
                ),
            ),
        )
        return tuple(problem for applies, problem in wrong if applies)


class KeyPermissionsReader(Protocol):
    async def key_permissions(self) -> KeyPermissions:
        """Read the current permissions.

        Raises:
            ExchangeUnavailableError: No usable answer; the same call may succeed later.
            ExchangeRefusedError: The exchange rejects the key.
        """
        ...
