"""Parameters of spot orders and order lists, with Binance's errors for wrong ones."""

from collections.abc import Mapping
from decimal import Decimal

from chimera_s1.adapters.simulator.matching.new_orders import NewOco, NewSpotOrder, OcoLeg
from chimera_s1.adapters.simulator.rest.parameters import (
    TIME_MAX_MS,
    integer,
    invalid_parameter,
    required,
)
from chimera_s1.adapters.simulator.rest.replies import BinanceError

Parameters = Mapping[str, str]

DAY_MS = 86_400_000
_SIGNED = frozenset({"timestamp", "recvWindow", "signature"})
_PLACEMENT = frozenset(
    {"symbol", "side", "newOrderRespType", "selfTradePreventionMode", "quantity"}
)
ORDER_NAMES = _PLACEMENT | {
    "type", "timeInForce", "quoteOrderQty", "price", "stopPrice", "newClientOrderId",
}  # fmt: skip
_LEG_NAMES = ("Type", "ClientOrderId", "Price", "StopPrice", "TimeInForce")
OCO_NAMES = frozenset(
    {
        *_PLACEMENT,
        "listClientOrderId",
        *(f"{side}{name}" for side in ("above", "below") for name in _LEG_NAMES),
    }
)
_CLIENT_ID = r"[a-zA-Z0-9-_]{1,36}"
_NUMBER = r"([0-9]{1,20})(\.[0-9]{1,20})?"
_WORD = r"[A-Z_]{1,40}"
_ID_MAX = 2**63 - 1
_LIMIT, _LIMIT_MAX = 500, 1000
_RESPONSES = frozenset({"ACK", "RESULT", "FULL"})
_PREVENTION = frozenset(
    {"NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT", "TRANSFER"}
)


def check_names(parameters: Parameters, known: frozenset[str]) -> None:
    """Raises BinanceError -1104 for a parameter that is not read."""
    read = len(parameters.keys() & (known | _SIGNED))
    if read < len(parameters):
        raise BinanceError(
            -1104,
            f"Not all sent parameters were read; read '{read}' parameter(s) but was sent "
            f"'{len(parameters)}'.",
        )


def new_order(parameters: Parameters) -> NewSpotOrder:
    """Of `POST /api/v3/order`; the desk checks what a type needs.

    Raises:
        BinanceError: A parameter is missing, not known or malformed.
    """
    check_names(parameters, ORDER_NAMES | {"computeCommissionRates"})
    return NewSpotOrder(
        symbol=required(parameters, "symbol", r".*"),
        side=required(parameters, "side", _WORD),
        type=required(parameters, "type", _WORD),
        client_id=client_id(parameters, "newClientOrderId") or "",
        qty=_number(parameters, "quantity"),
        quote_qty=_number(parameters, "quoteOrderQty"),
        price=_number(parameters, "price"),
        stop_price=_number(parameters, "stopPrice"),
        time_in_force=_word(parameters, "timeInForce"),
        stp_mode=_prevention(parameters),
    )


def new_oco(parameters: Parameters) -> NewOco:
    """Of `POST /api/v3/orderList/oco`.

    Raises:
        BinanceError: A parameter is missing, not known or malformed.
    """
    check_names(parameters, OCO_NAMES)
    return NewOco(
        symbol=required(parameters, "symbol", r".*"),
        side=required(parameters, "side", _WORD),
        qty=Decimal(required(parameters, "quantity", _NUMBER)),
        above=_leg(parameters, "above"),
        below=_leg(parameters, "below"),
        client_id=client_id(parameters, "listClientOrderId") or "",
        stp_mode=_prevention(parameters),
    )


def _leg(parameters: Parameters, side: str) -> OcoLeg:
    return OcoLeg(
        type=required(parameters, f"{side}Type", _WORD),
        client_id=client_id(parameters, f"{side}ClientOrderId") or "",
        price=_number(parameters, f"{side}Price"),
        stop_price=_number(parameters, f"{side}StopPrice"),
        time_in_force=_word(parameters, f"{side}TimeInForce"),
    )


def response_type(parameters: Parameters, default: str) -> str:
    """`newOrderRespType`: ACK, RESULT or FULL."""
    text = parameters.get("newOrderRespType", default)
    if text not in _RESPONSES:
        raise invalid_parameter("newOrderRespType")
    return text


def client_id(parameters: Parameters, name: str) -> str | None:
    """Raises BinanceError -1100 for a client id of another form, -1105 for an empty one."""
    return _optional(parameters, name, _CLIENT_ID)


def exchange_id(parameters: Parameters, name: str) -> int | None:
    """Raises BinanceError -1100 or -1130 unless it is a number."""
    return integer(parameters, name, 0, highest=_ID_MAX) if name in parameters else None


def named_by(
    parameters: Parameters, id_name: str, client_name: str
) -> tuple[int | None, str | None]:
    """Exchange id and client id, of which one must be sent.

    Raises:
        BinanceError: -1102, both are missing; -1100, -1130, one is malformed.
    """
    named = exchange_id(parameters, id_name), client_id(parameters, client_name)
    if named == (None, None):
        raise BinanceError(
            -1102,
            f"Param '{client_name}' or '{id_name}' must be sent, but both were empty/null!",
        )
    return named


def row_limit(parameters: Parameters) -> int:
    """500 rows by default; more than 1000 are 1000."""
    return min(integer(parameters, "limit", _LIMIT, lowest=1, highest=_ID_MAX), _LIMIT_MAX)


def day_at_most(parameters: Parameters) -> tuple[int, int] | None:
    """`startTime` and `endTime`, inclusive; None without both. One alone reaches a day.

    Raises:
        BinanceError: -1127, they are more than a day apart; -1100, -1130, they are no times.
    """
    if not {"startTime", "endTime"} & parameters.keys():
        return None
    since = integer(parameters, "startTime", -1, highest=TIME_MAX_MS)
    until = integer(parameters, "endTime", since + DAY_MS, highest=TIME_MAX_MS)
    since = until - DAY_MS if since < 0 else since
    if until - since > DAY_MS:
        raise BinanceError(-1127, "More than 24 hours between startTime and endTime.")
    if since > until:
        raise invalid_parameter("startTime")
    return since, until


def flag(parameters: Parameters, name: str) -> bool:
    """Raises BinanceError -1100 unless it is true or false; false by default."""
    if name not in parameters:
        return False
    return required(parameters, name, r"(true|false|TRUE|FALSE)").lower() == "true"


def bad_combination() -> BinanceError:
    return BinanceError(-1128, "Combination of optional parameters invalid.")


def _number(parameters: Parameters, name: str) -> Decimal | None:
    text = _optional(parameters, name, _NUMBER)
    return None if text is None else Decimal(text)


def _word(parameters: Parameters, name: str) -> str | None:
    return _optional(parameters, name, _WORD)


def _optional(parameters: Parameters, name: str, form: str) -> str | None:
    if parameters.get(name) == "":
        raise BinanceError(-1105, f"Parameter '{name}' was empty.")
    return required(parameters, name, form) if name in parameters else None


def _prevention(parameters: Parameters) -> str:
    mode = parameters.get("selfTradePreventionMode", "EXPIRE_MAKER")
    if mode not in _PREVENTION:
        raise invalid_parameter("selfTradePreventionMode")
    return mode
