"""OpenAPI descriptions of request bodies and headers that Litestar does not read itself."""

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

from chimera_s1.app.capabilities.ledger.problems import LEDGER_DAMAGED, LEDGER_TOO_NEW
from chimera_s1.app.capabilities.operations.web.problems import (
    KILL_SWITCH,
    MODE_HALTED,
    MODE_UNKNOWN,
)
from chimera_s1.app.capabilities.treasury.web.problems import (
    ACCOUNT_NOT_CLAIMED,
    EXCHANGE_MAINTENANCE,
    KEY_REUSED,
    KIND_BY_RULE,
    TREASURY_DISABLED,
)
from chimera_s1.app.capabilities.treasury.web.transfer_problems import REPLAYED
from chimera_s1.app.capabilities.treasury.web.transfer_request import (
    DECIMAL,
    EVIDENCE_CHARACTERS,
    REASON_CHARACTERS,
    TRAN_ID,
)
from chimera_s1.app.capabilities.treasury.web.transfer_response import (
    TransferProblemView,
    TransferResponse,
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
    MEDIA_TYPE,
    RATE_EXCEEDED,
    REQUEST_INVALID,
    REQUEST_TOO_LARGE,
    SCOPE_MISSING,
    STOPPING,
    STORE_UNAVAILABLE,
    TOKEN_REFUSED,
    ProblemKind,
)
from chimera_s1.app.web.problems import problem_spec
from chimera_s1.domain.identifiers import TRANSFER_ID_PATTERN
from chimera_s1.domain.money import USDT_MAX
from chimera_s1.domain.treasury.events import OperatorVerdict
from chimera_s1.domain.treasury.limits import OLD_FUT_NAME, Wallet

KEY_EXAMPLE = "7f3f0c1e-4a53-4a3c-9d4f-3a1f6f0e2b11"
_WITHOUT_CONTROLS = r"^[^\u0000-\u001f\u007f-\u009f]*$"
_WALLETS = [
    Schema(enum=[wallet.value for wallet in Wallet]),
    Schema(
        enum=[OLD_FUT_NAME], deprecated=True, description="Read as FUT, so that old retries work."
    ),
]
_REFUSALS: tuple[ProblemKind, ...] = (
    REQUEST_INVALID,
    KEY_MISSING,
    KEY_INVALID,
    KEY_MISMATCH,
    TOKEN_REFUSED,
    SCOPE_MISSING,
    MODE_HALTED,
    REQUEST_TOO_LARGE,
    MEDIA_TYPE,
    CONTENT_CODING,
    KEY_REUSED,
    *KIND_BY_RULE.values(),
    RATE_EXCEEDED,
    KILL_SWITCH,
    MODE_UNKNOWN,
    ACCOUNT_NOT_CLAIMED,
    EXCHANGE_MAINTENANCE,
    TREASURY_DISABLED,
    STOPPING,
    STORE_UNAVAILABLE,
    LEDGER_DAMAGED,
    LEDGER_TOO_NEW,
    ACCESS_DISABLED,
)


def _exactly(pattern: str) -> str:
    return f"^{pattern}$"


def _transfer_responses() -> dict[int, ResponseSpec]:
    by_status: dict[int, list[ProblemKind]] = {}
    for kind in _REFUSALS:
        by_status.setdefault(int(kind.status), []).append(kind)
    return {
        202: ResponseSpec(
            TransferResponse,
            generate_examples=False,
            description="Accepted and pending: send the same request again, or poll with GET",
        ),
        **{
            status: problem_spec(*kinds, view=TransferProblemView)
            for status, kinds in by_status.items()
        },
    }


TRANSFER_RESPONSES = _transfer_responses()
"""All responses except 200."""

_TRANSFER_BODY = Schema(
    title="TransferRequest",
    type=OpenAPIType.OBJECT,
    additional_properties=False,
    required=["from", "to", "amount_usdt"],
    properties={
        "transfer_id": Schema(
            type=OpenAPIType.STRING,
            pattern=_exactly(TRANSFER_ID_PATTERN),
            description=f"The key, if {KEY_HEADER} is not sent.",
        ),
        "from": Schema(
            type=OpenAPIType.STRING, one_of=_WALLETS, description="The wallet that is debited."
        ),
        "to": Schema(
            type=OpenAPIType.STRING, one_of=_WALLETS, description="The wallet that is credited."
        ),
        "amount_usdt": Schema(
            description="More than 0, at most 8 decimals; a number or a string, both read exactly.",
            one_of=[
                Schema(type=OpenAPIType.NUMBER, exclusive_minimum=0, maximum=float(USDT_MAX)),
                Schema(type=OpenAPIType.STRING, pattern=_exactly(DECIMAL)),
            ],
        ),
        "reason": Schema(
            type=OpenAPIType.STRING,
            max_length=REASON_CHARACTERS.stop - 1,
            pattern=_WITHOUT_CONTROLS,
            description="Stored with the transfer; printable.",
        ),
    },
)
_RESOLUTION_BODY = Schema(
    title="ResolutionRequest",
    type=OpenAPIType.OBJECT,
    additional_properties=False,
    required=["verdict", "evidence"],
    properties={
        "verdict": Schema(
            type=OpenAPIType.STRING,
            enum=[verdict.value for verdict in OperatorVerdict],
            description="DONE: the money was moved. FAILED: it was not and will not be moved.",
        ),
        "tran_id": Schema(
            type=OpenAPIType.STRING,
            pattern=_exactly(TRAN_ID),
            description="The exchange's id of the movement; with DONE only, and required there.",
        ),
        "evidence": Schema(
            type=OpenAPIType.STRING,
            min_length=EVIDENCE_CHARACTERS.start,
            max_length=EVIDENCE_CHARACTERS.stop - 1,
            pattern=_WITHOUT_CONTROLS,
            description="What was seen, and where; stored with the transfer, printable.",
        ),
    },
)


@dataclass
class TransferOperation(Operation):
    """`POST /xchg/treasury/transfer`."""

    def __post_init__(self) -> None:
        self.parameters = [
            Parameter(
                name=KEY_HEADER,
                param_in="header",
                required=False,
                description=(
                    "Identifies the transfer, so that a repeated request moves money once: 1 to "
                    "128 characters, bare or as a string of RFC 8941."
                ),
                schema=Schema(
                    type=OpenAPIType.STRING,
                    pattern=f'^({TRANSFER_ID_PATTERN}|"{TRANSFER_ID_PATTERN}")$',
                ),
                example=KEY_EXAMPLE,
            )
        ]
        self.request_body = _json(
            _TRANSFER_BODY,
            exact={"transfer_id": KEY_EXAMPLE, "from": "SPOT", "to": "FUT", "amount_usdt": "250.5"},
            short={"from": "FUT", "to": "SPOT", "amount_usdt": 100, "reason": "end of day"},
        )
        for status in ("200", "202", "422"):
            described_response = (self.responses or {})[status]
            assert isinstance(described_response, OpenAPIResponse)
            described_response.headers = {
                **(described_response.headers or {}),
                "Location": _header("Path of the transfer.", required=status != "422"),
                REPLAYED: _header("`true` if the transfer already existed.", required=False),
            }


@dataclass
class ResolveOperation(Operation):
    """`POST /xchg/treasury/transfer/{transfer_id}/resolve`."""

    def __post_init__(self) -> None:
        self.request_body = _json(
            _RESOLUTION_BODY,
            moved={
                "verdict": "DONE",
                "tran_id": "13526853623",
                "evidence": "seen in the transfer history, web page, 09:14 UTC",
            },
            not_moved={
                "verdict": "FAILED",
                "evidence": "support case 4711: the request never arrived",
            },
        )


def _json(schema: Schema, **examples: dict[str, object]) -> RequestBody:
    shown = {name: Example(value=value) for name, value in examples.items()}
    return RequestBody(
        required=True, content={JSON: OpenAPIMediaType(schema=schema, examples={**shown})}
    )


def _header(description: str, *, required: bool) -> OpenAPIHeader:
    return OpenAPIHeader(
        description=description, required=required, schema=Schema(type=OpenAPIType.STRING)
    )
