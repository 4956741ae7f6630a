"""Problems of the instrument routes."""

from http import HTTPStatus

from chimera_s1.app.capabilities.instruments.read_instruments import InstrumentUnknownError
from chimera_s1.app.capabilities.instruments.sync_instruments import ListingRefusedError
from chimera_s1.app.web.problem_kinds import EXCHANGE_REFUSED, KindByError, ProblemKind
from chimera_s1.domain.errors import ExchangeRefusedError

INSTRUMENT_UNKNOWN = ProblemKind(
    InstrumentUnknownError.code, HTTPStatus.NOT_FOUND, "The registry has no such instrument"
)
LISTING_REFUSED = ProblemKind(
    ListingRefusedError.code,
    HTTPStatus.BAD_GATEWAY,
    "The venue's listing is empty or cannot be read",
)
KIND_BY_ERROR: KindByError = {
    InstrumentUnknownError: INSTRUMENT_UNKNOWN,
    ListingRefusedError: LISTING_REFUSED,
    ExchangeRefusedError: EXCHANGE_REFUSED,
}
