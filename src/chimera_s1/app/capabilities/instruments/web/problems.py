"""Problems of the instrument routes."""

from http import HTTPStatus

from chimera_s1.app.capabilities.instruments.read_instruments import InstrumentUnknownError
from chimera_s1.app.web.problem_kinds import KindByError, ProblemKind

INSTRUMENT_UNKNOWN = ProblemKind(
    InstrumentUnknownError.code, HTTPStatus.NOT_FOUND, "The registry has no such instrument"
)
KIND_BY_ERROR: KindByError = {InstrumentUnknownError: INSTRUMENT_UNKNOWN}
