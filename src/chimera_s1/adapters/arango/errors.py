"""How a request to ArangoDB can fail, and what each failure means for whoever sent it.

Texts of the server are never looked at, only its numbers; where one number means two things, its
HTTP status decides.
"""

from enum import Enum, auto

_UNIQUE_CONSTRAINT_VIOLATED = 1210
_CONFLICT = 1200
_NOT_FOUND = 1202
_COLLECTION_NOT_FOUND = 1203
_DATABASE_NOT_FOUND = 1228
_READ_ONLY = 1004
_FORBIDDEN = 11

_HTTP_CONFLICT = 409
_HTTP_PRECONDITION_FAILED = 412
_HTTP_MISDIRECTED = 421
_HTTP_TOO_MANY = 429
_HTTP_SERVER_ERROR = 500
_HTTP_NOT_IMPLEMENTED = 501

NOT_APPLIED_ERROR_NUMBERS = frozenset(
    {30, 38, 503, _READ_ONLY, 1429, 1495, 1496, 1600, 21003, 21004}
)
"""Shutting down, starting, in maintenance, read-only by write concern, write concern not fulfilled,
leadership unclear (twice), a cursor that its coordinator has forgotten, queue full, queue too slow.
"""

AMBIGUOUS_ERROR_NUMBERS = frozenset({18, 28, 29, 32, 1302, 1457, 1464, 1465, 1478, 1491})
"""Locks, memory, try again, time-out in the cluster, shard gone, connection or backend lost, leader
resigned.
"""

COORDINATOR_UNAVAILABLE_NUMBERS = frozenset({30, 38, 503})
"""The coordinator itself is not ready for anything."""


class FailureClass(Enum):
    """What a failure means."""

    PERMANENT = auto()
    """The same request will not succeed."""

    CONFLICT = auto()
    """Something is there already, or is not any more what it was: read it."""

    KEY_BUSY = auto()
    """Somebody else is writing the same document: soon again."""

    NOT_APPLIED = auto()
    """Nothing was written; the same request may succeed later, or elsewhere."""

    AMBIGUOUS = auto()
    """It may be written, or come to be."""


class ArangoRequestError(Exception):  # the base of errors, and none itself
    """A request that did not come to the answer it was sent for.

    Attributes:
        description: What happened, in words.

        coordinator: Where; empty until it is known.
    """

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.description = said
        self.coordinator = ""


class NotSentError(ArangoRequestError):
    """There was no connection."""


class NoReplyError(ArangoRequestError):
    """The connection broke, the time was over, or what came was no answer of ArangoDB."""


class StaleCoordinatorError(ArangoRequestError):
    """The coordinator does not know yet what is known to be there."""


class NotDurableError(ArangoRequestError):
    """It is written, and the disk was not waited for."""


class UnexpectedDocumentError(ArangoRequestError):
    """What is stored is not what this program stores."""


class RequestRejectedError(ArangoRequestError):
    """The server answered with an error.

    Attributes:
        status: Of HTTP.

        number: ArangoDB's errorNum; the status again where it gave none.
    """

    def __init__(self, status: int, number: int, message: str) -> None:
        super().__init__(f"answers {status}/{number} ({message or 'no text'})")
        self.status = status
        self.number = number

    @property
    def document_missing(self) -> bool:
        """There is no document of this key."""
        return self.number == _NOT_FOUND

    @property
    def schema_missing(self) -> bool:
        """There is no such collection, or database."""
        return self.number in {_COLLECTION_NOT_FOUND, _DATABASE_NOT_FOUND}


def classify_failure(error: ArangoRequestError) -> FailureClass:
    """What *error* means."""
    match error:
        case NotSentError():
            return FailureClass.NOT_APPLIED
        case NotDurableError() | UnexpectedDocumentError():
            return FailureClass.PERMANENT
        case RequestRejectedError(status=status, number=number):
            return _classify_error_reply(status, number)
        case _:
            return FailureClass.AMBIGUOUS


def is_coordinator_unavailable(error: ArangoRequestError) -> bool:
    """Whether *error* is of one coordinator, and others may do better."""
    match error:
        case NotSentError() | NoReplyError():
            return True
        case RequestRejectedError(number=number):
            return number in COORDINATOR_UNAVAILABLE_NUMBERS
        case _:
            return False


def advice(error: ArangoRequestError) -> str:  # noqa: PLR0911  # one for each case
    """What people can do about *error*."""
    match error:
        case NotDurableError():
            return "set waitForSync of the collection to true"
        case UnexpectedDocumentError():
            return "restore it, or have chimera-s1 ledger rebuild make it anew"
        case RequestRejectedError(number=number) if number == _FORBIDDEN:
            return (
                "check S1_DB_ARANGO_USER and S1_DB_ARANGO_PASS, and that S1_DB_ARANGO_DATABASE is "
                "there and this user may write it"
            )
        case RequestRejectedError(number=number) if number == _READ_ONLY:
            return "bring back the missing copies, or look whether the server's licence has ended"
        case RequestRejectedError() if error.schema_missing:
            return "somebody removed it; restore it, or start chimera-s1 serve to make it anew"
        case _ if classify_failure(error) is FailureClass.PERMANENT:
            return "look into the server's log"
        case _:
            return "see that the cluster is healthy; the same call may succeed then"


def _classify_error_reply(  # noqa: PLR0911  # one for each line of a table
    status: int, number: int
) -> FailureClass:
    if number == _CONFLICT:
        lost = status == _HTTP_PRECONDITION_FAILED
        return FailureClass.CONFLICT if lost else FailureClass.KEY_BUSY
    if number == _UNIQUE_CONSTRAINT_VIOLATED and status == _HTTP_CONFLICT:
        return FailureClass.CONFLICT
    if number in NOT_APPLIED_ERROR_NUMBERS:
        return FailureClass.NOT_APPLIED
    if number in AMBIGUOUS_ERROR_NUMBERS:
        return FailureClass.AMBIGUOUS
    if status == _HTTP_TOO_MANY:
        return FailureClass.NOT_APPLIED
    if status == _HTTP_NOT_IMPLEMENTED:
        return FailureClass.PERMANENT
    if status >= _HTTP_SERVER_ERROR or status == _HTTP_MISDIRECTED:
        return FailureClass.AMBIGUOUS
    return FailureClass.PERMANENT
