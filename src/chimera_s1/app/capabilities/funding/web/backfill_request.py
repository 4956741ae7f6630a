"""The body of `POST /xchg/funding/backfill`."""

from dataclasses import dataclass

from litestar.openapi.spec import (
    Example,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    RequestBody,
    Schema,
)

from chimera_s1.app.web.json_object import JSON, JsonNumber, RequestInvalidError, read_json_object
from chimera_s1.domain.funding.backfill import DAYS_MAX

_FIELD = "days"


def read_days(media_type: str, body: bytes) -> int:
    """The days to read.

    Raises:
        MediaTypeError: *media_type* is not application/json.
        RequestInvalidError: They are missing, no whole number, or too many.
    """
    value = read_json_object(media_type, body, (_FIELD,)).value(_FIELD)
    text = value.text if isinstance(value, JsonNumber) else ""
    digits = len(str(DAYS_MAX))
    if not (text.isdigit() and len(text) <= digits and 1 <= int(text) <= DAYS_MAX):
        raise RequestInvalidError(f"{_FIELD}: send a whole number from 1 to {DAYS_MAX}")
    return int(text)


@dataclass
class BackfillOperation(Operation):
    """`POST /xchg/funding/backfill`."""

    def __post_init__(self) -> None:
        schema = Schema(
            title="BackfillRequest",
            type=OpenAPIType.OBJECT,
            additional_properties=False,
            required=[_FIELD],
            properties={
                _FIELD: Schema(
                    type=OpenAPIType.INTEGER,
                    minimum=1,
                    maximum=DAYS_MAX,
                    description="How many days before now are read.",
                ),
            },
        )
        examples = {"a month": Example(value={_FIELD: 30})}
        self.request_body = RequestBody(
            required=True, content={JSON: OpenAPIMediaType(schema=schema, examples={**examples})}
        )
