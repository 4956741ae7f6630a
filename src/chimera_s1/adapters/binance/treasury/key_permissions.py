"""What the API key may do (`GET /sapi/v1/account/apiRestrictions`, wallet "Get API Key
Permission").
"""

from typing import assert_never

from msgspec import Struct

from chimera_s1.adapters.binance.http.signed_reader import SignedReader
from chimera_s1.domain.ports.key_permissions import KeyPermissions
from chimera_s1.domain.treasury.events import TreasuryMode

PATH = "/sapi/v1/account/apiRestrictions"


class ApiRestrictions(Struct, frozen=True):
    """With Binance's names; what it does not mention, the key may not do."""

    ipRestrict: bool  # noqa: N815 (Binance's name)
    enableReading: bool  # noqa: N815 (Binance's name)
    enableWithdrawals: bool  # noqa: N815 (Binance's name)
    permitsUniversalTransfer: bool = False  # noqa: N815 (Binance's name)
    enableInternalTransfer: bool = False  # noqa: N815 (Binance's name)


async def read_key_permissions(reads: SignedReader, mode: TreasuryMode) -> KeyPermissions:
    """Of the key that *reads* signs with, as *mode* needs them.

    Raises:
        ExchangeUnavailableError, ExchangeRefusedError: As `SignedReader.get`.
    """
    answer = await reads.get(PATH, (), ApiRestrictions)
    return KeyPermissions(
        may_read=answer.enableReading,
        may_transfer=_may_transfer(answer, mode),
        may_withdraw=answer.enableWithdrawals,
        ip_restricted=answer.ipRestrict,
    )


def _may_transfer(restrictions: ApiRestrictions, mode: TreasuryMode) -> bool:
    match mode:
        case TreasuryMode.WALLET:
            return restrictions.permitsUniversalTransfer
        case TreasuryMode.SUBACCOUNT:
            return restrictions.enableInternalTransfer
        case _:
            assert_never(mode)
