"""The body of `POST /xchg/mode`."""

from dataclasses import dataclass

from litestar.openapi.spec import (
    Example,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    RequestBody,
    Schema,
)
from msgspec import Struct

from chimera_s1.app.web.json_object import (
    JSON,
    RequestInvalidError,
    kind_of_value,
    read_json_object,
)
from chimera_s1.domain.operations.halt import REASON_CHARACTERS

_FIELDS = ("halted", "reason")


class ModeRequest(Struct, frozen=True):
    """Halt or resume trading, and why."""

    halted: bool
    reason: str


def read_mode_request(media_type: str, body: bytes) -> ModeRequest:
    """The request in *body*.

    Raises:
        MediaTypeError: *media_type* is not application/json.
        RequestInvalidError: A field is missing or invalid.
    """
    fields = read_json_object(media_type, body, _FIELDS)
    halted = fields.value("halted")
    if not isinstance(halted, bool):
        raise RequestInvalidError(f"halted is {kind_of_value(halted)}; send true or false")
    reason = fields.text("reason", REASON_CHARACTERS).strip()
    if not reason:
        raise RequestInvalidError("reason has only spaces; write why, for the record")
    return ModeRequest(halted, reason)


@dataclass
class ModeOperation(Operation):
    """`POST /xchg/mode`."""

    def __post_init__(self) -> None:
        schema = Schema(
            title="ModeRequest",
            type=OpenAPIType.OBJECT,
            additional_properties=False,
            required=list(_FIELDS),
            properties={
                "halted": Schema(
                    type=OpenAPIType.BOOLEAN,
                    enum=[True, False],
                    description="true: halt trading; false: resume it.",
                ),
                "reason": Schema(
                    type=OpenAPIType.STRING,
                    min_length=REASON_CHARACTERS.start,
                    max_length=REASON_CHARACTERS.stop - 1,
                    pattern=r"^[^\u0000-\u001f\u007f-\u009f]*$",
                    description="Why; stored with the change, printable.",
                ),
            },
        )
        examples = {
            "halt": Example(value={"halted": True, "reason": "unexplained fills, looking"}),
            "resume": Example(value={"halted": False, "reason": "fills explained, case 4711"}),
        }
        self.request_body = RequestBody(
            required=True, content={JSON: OpenAPIMediaType(schema=schema, examples={**examples})}
        )
