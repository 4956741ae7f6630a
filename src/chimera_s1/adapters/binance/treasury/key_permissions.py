"""Permissions of the API key: `GET /sapi/v1/account/apiRestrictions`."""

from typing import assert_never

from msgspec import Struct

from chimera_s1.domain.ports.key_permissions import KeyPermissions
from chimera_s1.domain.treasury.events import TreasuryMode

PATH = "/sapi/v1/account/apiRestrictions"


class ApiRestrictions(Struct, frozen=True):
    """Wallet, "Get API Key Permission"; an absent permission means no."""

    ipRestrict: bool  # noqa: N815 (Binance's name)
    enableReading: bool  # noqa: N815 (Binance's name)
    enableWithdrawals: bool  # noqa: N815 (Binance's name)
    permitsUniversalTransfer: bool = False  # noqa: N815 (Binance's name)
    enableInternalTransfer: bool = False  # noqa: N815 (Binance's name)
    enableFutures: bool = False  # noqa: N815 (Binance's name)


def parse_restrictions(restrictions: ApiRestrictions, mode: TreasuryMode) -> KeyPermissions:
    """The permissions that *mode* needs."""
    return KeyPermissions(
        may_read=restrictions.enableReading,
        may_transfer=_may_transfer(restrictions, mode),
        may_use_futures=restrictions.enableFutures,
        may_withdraw=restrictions.enableWithdrawals,
        ip_restricted=restrictions.ipRestrict,
    )


def _may_transfer(restrictions: ApiRestrictions, mode: TreasuryMode) -> bool:
    match mode:
        case TreasuryMode.WALLET:
            return restrictions.permitsUniversalTransfer
        case TreasuryMode.SUBACCOUNT:
            return restrictions.enableInternalTransfer
        case _:
            assert_never(mode)
