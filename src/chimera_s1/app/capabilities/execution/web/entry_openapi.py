"""OpenAPI descriptions of the bodies and headers of entry requests."""

from dataclasses import dataclass

from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import (
    Example,
    OpenAPIHeader,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Parameter,
    RequestBody,
    Schema,
)

from chimera_s1.app.capabilities.execution.web.entry_problems import (
    ENTRY_NOT_FOUND,
    KEY_REUSED,
    KIND_BY_RULE,
    ORDER_RULES,
)
from chimera_s1.app.capabilities.execution.web.entry_request import DECIMAL
from chimera_s1.app.capabilities.execution.web.entry_schemas import EntryProblemView
from chimera_s1.app.capabilities.execution.web.problems import (
    ACCOUNT_NOT_CLAIMED,
    EXECUTION_DISABLED,
    OTHER_ACCOUNT,
)
from chimera_s1.app.capabilities.ledger.problems import LEDGER_DAMAGED, LEDGER_TOO_NEW
from chimera_s1.app.capabilities.operations.web.problems import (
    KILL_SWITCH,
    MODE_HALTED,
    MODE_MANAGE_ONLY,
    MODE_UNKNOWN,
)
from chimera_s1.app.web.idempotency_key import (
    KEY_HEADER,
    KEY_INVALID,
    KEY_MISMATCH,
    KEY_MISSING,
)
from chimera_s1.app.web.json_object import JSON
from chimera_s1.app.web.problem_kinds import (
    ACCESS_DISABLED,
    CONTENT_CODING,
    EXCHANGE_REFUSED,
    EXCHANGE_UNAVAILABLE,
    MEDIA_TYPE,
    RATE_EXCEEDED,
    REQUEST_INVALID,
    REQUEST_TOO_LARGE,
    SCOPE_MISSING,
    STOPPING,
    STORE_UNAVAILABLE,
    TOKEN_REFUSED,
    VALUE_INVALID,
    ProblemKind,
)
from chimera_s1.app.web.problems import problem_spec
from chimera_s1.domain.execution.entries.admission import TIMEOUT_MS
from chimera_s1.domain.execution.entries.specs import OnUnprotected
from chimera_s1.domain.execution.order_request import HedgeSide, Side, WorkingType
from chimera_s1.domain.identifiers import SYMBOL_PATTERN, TRANSFER_ID_PATTERN

FUTURES_KEY_EXAMPLE = "s4-20261128-0001"
SPOT_KEY_EXAMPLE = "s4-20261128-0002"
_REFUSALS: tuple[ProblemKind, ...] = (
    REQUEST_INVALID,
    KEY_MISSING,
    KEY_INVALID,
    KEY_MISMATCH,
    TOKEN_REFUSED,
    SCOPE_MISSING,
    MODE_HALTED,
    MODE_MANAGE_ONLY,
    REQUEST_TOO_LARGE,
    MEDIA_TYPE,
    CONTENT_CODING,
    KEY_REUSED,
    ORDER_RULES,
    *KIND_BY_RULE.values(),
    RATE_EXCEEDED,
    KILL_SWITCH,
    MODE_UNKNOWN,
    EXECUTION_DISABLED,
    ACCOUNT_NOT_CLAIMED,
    OTHER_ACCOUNT,
    EXCHANGE_REFUSED,
    EXCHANGE_UNAVAILABLE,
    STOPPING,
    STORE_UNAVAILABLE,
    LEDGER_DAMAGED,
    LEDGER_TOO_NEW,
    ACCESS_DISABLED,
)


def _by_status() -> dict[int, ResponseSpec]:
    kinds: dict[int, list[ProblemKind]] = {}
    for kind in _REFUSALS:
        kinds.setdefault(int(kind.status), []).append(kind)
    return {
        status: problem_spec(*listed, view=EntryProblemView) for status, listed in kinds.items()
    }


ENTRY_RESPONSES = _by_status()
"""All responses except 200."""

CANCEL_RESPONSES = {
    400: problem_spec(REQUEST_INVALID, VALUE_INVALID),
    404: problem_spec(ENTRY_NOT_FOUND),
    413: problem_spec(REQUEST_TOO_LARGE),
    415: problem_spec(MEDIA_TYPE, CONTENT_CODING),
    503: problem_spec(
        EXECUTION_DISABLED, STORE_UNAVAILABLE, LEDGER_DAMAGED, LEDGER_TOO_NEW, ACCESS_DISABLED
    ),
}


def _number(description: str) -> Schema:
    return Schema(
        description=f"{description} More than 0; a number or a string, both read exactly.",
        one_of=[
            Schema(type=OpenAPIType.NUMBER, exclusive_minimum=0),
            Schema(type=OpenAPIType.STRING, pattern=f"^{DECIMAL}$"),
        ],
    )


def _one_of(values: list[str], description: str) -> Schema:
    return Schema(type=OpenAPIType.STRING, enum=values, description=description)


_KEY = Schema(
    type=OpenAPIType.STRING,
    pattern=f"^{TRANSFER_ID_PATTERN}$",
    description=f"The key, if {KEY_HEADER} is not sent. Not the id of an order.",
)
_COMMON = {
    "client_order_id": _KEY,
    "entry_id": _KEY,
    "symbol": Schema(
        type=OpenAPIType.STRING, pattern=f"^{SYMBOL_PATTERN}$", description="Of the venue."
    ),
    "side": _one_of([side.value for side in Side], "Of the entry order."),
}
_FUTURES_BODY = Schema(
    title="FuturesEntryRequest",
    type=OpenAPIType.OBJECT,
    additional_properties=False,
    required=["symbol", "side", "qty", "limit_price", "timeout_ms", "stop_price"],
    properties={
        **_COMMON,
        "qty": _number("Base asset, on the step of the symbol."),
        "limit_price": _number("Of the post-only limit order, on the tick of the symbol."),
        "timeout_ms": Schema(
            type=OpenAPIType.INTEGER,
            minimum=TIMEOUT_MS.start,
            maximum=TIMEOUT_MS.stop - 1,
            description="What is not filled so long after the acknowledgement is cancelled.",
        ),
        "stop_price": _number("Trigger of the stop: below limit_price for BUY, above for SELL."),
        "position_side": _one_of(
            [side.value for side in HedgeSide],
            "In hedge mode only: LONG with BUY, SHORT with SELL.",
        ),
        "working_type": _one_of(
            [kind.value for kind in WorkingType],
            "Which price triggers the stop; CONTRACT_PRICE by default.",
        ),
        "on_unprotected": _one_of(
            [each.value for each in OnUnprotected],
            "What follows the alarm where no stop can be placed; close by default.",
        ),
    },
)
_SPOT_BODY = Schema(
    title="SpotEntryRequest",
    type=OpenAPIType.OBJECT,
    additional_properties=False,
    required=["symbol", "side", "tp_price", "sl_trigger_price"],
    properties={
        **_COMMON,
        "quote_usdt": _number("What the market order spends or earns; or send qty."),
        "qty": _number("Base asset, on the step of the symbol; or send quote_usdt."),
        "tp_price": _number("Take profit: above the market for BUY, below for SELL."),
        "sl_trigger_price": _number("Stop: below the market for BUY, above for SELL."),
    },
)
_CANCEL_BODY = Schema(
    title="EntryCancelRequest",
    type=OpenAPIType.OBJECT,
    additional_properties=False,
    properties={
        "disarm": Schema(
            type=OpenAPIType.BOOLEAN,
            description="True also removes the protection; false by default.",
        )
    },
)


@dataclass
class _EntryOperation(Operation):
    def _describe(self, schema: Schema, key: str, **examples: dict[str, object]) -> None:
        self.parameters = [
            Parameter(
                name=KEY_HEADER,
                param_in="header",
                required=False,
                description=(
                    "Identifies the entry, so that a repeated request places nothing twice: 1 to "
                    "128 characters, bare or as a string of RFC 8941."
                ),
                schema=Schema(
                    type=OpenAPIType.STRING,
                    pattern=f'^({TRANSFER_ID_PATTERN}|"{TRANSFER_ID_PATTERN}")$',
                ),
                example=key,
            )
        ]
        self.request_body = _json(schema, required=True, **examples)
        described_response = (self.responses or {})["200"]
        assert isinstance(described_response, OpenAPIResponse)
        described_response.headers = {
            **(described_response.headers or {}),
            "Location": OpenAPIHeader(
                description="Path of the entry.",
                required=True,
                schema=Schema(type=OpenAPIType.STRING),
            ),
        }


@dataclass
class FuturesEntryOperation(_EntryOperation):
    """`POST /xchg/futures/entries`."""

    def __post_init__(self) -> None:
        self._describe(
            _FUTURES_BODY,
            FUTURES_KEY_EXAMPLE,
            long={
                "client_order_id": FUTURES_KEY_EXAMPLE,
                "symbol": "BTCUSDT",
                "side": "BUY",
                "qty": "0.01",
                "limit_price": "67400.0",
                "timeout_ms": 60000,
                "stop_price": "66800.0",
            },
        )


@dataclass
class SpotEntryOperation(_EntryOperation):
    """`POST /xchg/spot/entries`."""

    def __post_init__(self) -> None:
        self._describe(
            _SPOT_BODY,
            SPOT_KEY_EXAMPLE,
            buy={
                "entry_id": SPOT_KEY_EXAMPLE,
                "symbol": "BTCUSDT",
                "side": "BUY",
                "quote_usdt": "500",
                "tp_price": "68500.0",
                "sl_trigger_price": "66800.0",
            },
        )


@dataclass
class CancelOperation(Operation):
    """`POST /xchg/.../entries/{entry_id}/cancel`."""

    def __post_init__(self) -> None:
        self.request_body = _json(
            _CANCEL_BODY, required=False, keep_protection={}, remove_protection={"disarm": True}
        )


def _json(schema: Schema, *, required: bool, **examples: dict[str, object]) -> RequestBody:
    shown = {name: Example(value=value) for name, value in examples.items()}
    return RequestBody(
        required=required, content={JSON: OpenAPIMediaType(schema=schema, examples={**shown})}
    )
