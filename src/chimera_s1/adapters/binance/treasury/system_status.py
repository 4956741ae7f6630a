"""Maintenance of the wallet API: `GET /sapi/v1/system/status`, which needs no key."""

from msgspec import Struct

from chimera_s1.adapters.binance.http.reply_classification import sanitize
from chimera_s1.domain.ports.exchange_status import ExchangeStatus

PATH = "/sapi/v1/system/status"
_NORMAL, _MAINTENANCE = 0, 1


class SystemStatus(Struct, frozen=True):
    """Wallet, "System Status"."""

    status: int
    msg: str = ""


def parse_status(reply: SystemStatus) -> ExchangeStatus:
    return ExchangeStatus(
        maintenance=reply.status == _MAINTENANCE,
        unknown=reply.status not in {_NORMAL, _MAINTENANCE},
        message=f"status {reply.status} {sanitize(reply.msg)}".rstrip(),
    )
