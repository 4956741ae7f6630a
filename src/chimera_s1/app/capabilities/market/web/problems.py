"""Problems of the market routes."""

from http import HTTPStatus

from chimera_s1.app.capabilities.market.quote_board import BoardClosedError
from chimera_s1.app.capabilities.market.stream_limit import (
    TooManyOfActorError,
    TooManySubscribersError,
)
from chimera_s1.app.web.problem_kinds import STOPPING, KindByError, ProblemKind
from chimera_s1.domain.errors import ChimeraError


class QuoteUnknownError(ChimeraError):
    """No quote of the instrument was published since the start."""

    code = "quotes.unknown"


class QuoteGoneError(ChimeraError):
    """The venue does not trade the instrument any more."""

    code = "quotes.gone"


class StatusUnknownError(ChimeraError):
    """The instrument is not among those of this instance."""

    code = "status.unknown"


QUOTE_GONE = ProblemKind(
    QuoteGoneError.code, HTTPStatus.GONE, "This instrument is not traded, or not served, any more"
)
QUOTE_UNKNOWN = ProblemKind(
    QuoteUnknownError.code, HTTPStatus.NOT_FOUND, "No quote of this instrument"
)
TOO_MANY_SUBSCRIBERS = ProblemKind(
    TooManySubscribersError.code,
    HTTPStatus.SERVICE_UNAVAILABLE,
    "Too many open quote streams",
)
TOO_MANY_OF_ACTOR = ProblemKind(
    TooManyOfActorError.code,
    HTTPStatus.TOO_MANY_REQUESTS,
    "Too many open quote streams of this actor",
)
STATUS_UNKNOWN = ProblemKind(
    StatusUnknownError.code, HTTPStatus.NOT_FOUND, "This instance does not serve this instrument"
)
KIND_BY_ERROR: KindByError = {
    QuoteGoneError: QUOTE_GONE,
    QuoteUnknownError: QUOTE_UNKNOWN,
    TooManySubscribersError: TOO_MANY_SUBSCRIBERS,
    TooManyOfActorError: TOO_MANY_OF_ACTOR,
    StatusUnknownError: STATUS_UNKNOWN,
    BoardClosedError: STOPPING,
}
