"""How a request to ArangoDB can fail, and what the sender may do next.

Classification uses the server's error numbers, never its texts. Where one number means two things,
the HTTP status decides.
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
    {
        *(30, 38, 503),  # shutting down, starting, in maintenance
        *(_READ_ONLY, 1429),  # write concern not fulfilled: refused before the write
        *(1495, 1496),  # leadership challenge, not a leader
        *(21003, 21004),  # queue full, queue time too long
        *(1500, 1591, 1600, 1601),  # query killed or forgotten, cursor gone or busy: we only read
    }
)
"""The server numbers that name a request without effect."""

AMBIGUOUS_ERROR_NUMBERS = frozenset(
    {
        *(18, 28, 29, 32, 1302),  # locks, memory limit, try again
        *(1457, 1464, 1465, 1478),  # cluster timeout, shard gone, connection or backend lost
        21,  # request cancelled: also while it runs
        # A transaction that the cluster opened for the request; this program opens none. Replicas
        # may have applied it before the leader changed.
        *(1447, 1654, 1655),  # already committed in part, aborted, forgotten by a restarted leader
        # A leader asks its followers after it has written. If one of them is the new leader, or
        # follows another one, the old leader's write is undone, or a third replica keeps it.
        *(1489, 1490, 1491),  # leader refuses replication, follower refuses, leader resigned
    }
)
"""The server numbers after which a write may be stored: it must be read before it is repeated."""

COORDINATOR_UNAVAILABLE_NUMBERS = frozenset({30, 38, 503})
"""This coordinator serves no request at all; the others may."""


class FailureClass(Enum):
    PERMANENT = auto()
    """The same request will not succeed."""

    CONFLICT = auto()
    """The key is taken, or the document has changed: read it."""

    KEY_BUSY = auto()
    """Another client is writing the same document: retry soon."""

    NOT_APPLIED = auto()
    """Nothing was written; the same request may succeed later, or at another coordinator."""

    AMBIGUOUS = auto()
    """The write may be applied already, or still be applied later."""


class ArangoRequestError(Exception):  # a base class, never raised
    """A request without a usable reply.

    Attributes:
        description: What happened, as the predicate of a sentence about the coordinator.
        coordinator: Its URL; empty until it is known.
    """

    def __init__(self, description: str, coordinator: str = "") -> None:
        super().__init__(description)
        self.description = description
        self.coordinator = coordinator


class NotSentError(ArangoRequestError):
    """There was no connection."""


class NoReplyError(ArangoRequestError):
    """The connection broke, the request timed out, or the reply is not from ArangoDB."""


class StaleCoordinatorError(ArangoRequestError):
    """The coordinator lacks a document that is known to be stored."""


class NotDurableError(ArangoRequestError):
    """The write was applied without waiting for the disk."""


class UnexpectedDocumentError(ArangoRequestError):
    """A stored document does not have the shape this program writes; *cure* is for the operator."""

    def __init__(
        self,
        description: str,
        coordinator: str = "",
        *,
        cure: str = "restore it, or run chimera-s1 ledger rebuild",
    ) -> None:
        super().__init__(description, coordinator)
        self.cure = cure


class RequestRejectedError(ArangoRequestError):
    """The server replied with an error.

    Attributes:
        status: Of HTTP.
        number: ArangoDB's errorNum; the HTTP status if the reply has none.
    """

    def __init__(self, status: int, number: int, message: str) -> None:
        super().__init__(f"replied {status}/{number} ({message or 'no message'})")
        self.status = status
        self.number = number

    @property
    def document_missing(self) -> bool:
        return self.number == _NOT_FOUND

    @property
    def collection_missing(self) -> bool:
        return self.number == _COLLECTION_NOT_FOUND

    @property
    def schema_missing(self) -> bool:
        """Whether the collection or the database does not exist."""
        return self.number in {_COLLECTION_NOT_FOUND, _DATABASE_NOT_FOUND}


def classify_failure(error: ArangoRequestError) -> FailureClass:
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
    """Whether *error* concerns one coordinator, so that another may succeed."""
    match error:
        case NotSentError() | NoReplyError():
            return True
        case RequestRejectedError(number=number):
            return number in COORDINATOR_UNAVAILABLE_NUMBERS
        case _:
            return False


def advice(error: ArangoRequestError) -> str:  # noqa: PLR0911  # one for each case
    """What the operator can do about *error*."""
    match error:
        case NotDurableError():
            return "set waitForSync of the collection to true"
        case UnexpectedDocumentError(cure=cure):
            return cure
        case RequestRejectedError(number=number) if number == _FORBIDDEN:
            return (
                "check S1_DB_ARANGO_USER and S1_DB_ARANGO_PASS; the database "
                "S1_DB_ARANGO_DATABASE must exist and be writable by this user"
            )
        case RequestRejectedError(number=number) if number == _READ_ONLY:
            return "restore the missing replicas, or check whether the server's licence has expired"
        case RequestRejectedError() if error.schema_missing:
            return "it was removed; restore it, or start chimera-s1 serve to create it"
        case _ if classify_failure(error) is FailureClass.PERMANENT:
            return "see the server's log"
        case _:
            return "check the cluster's health, then retry"


def _classify_error_reply(  # noqa: PLR0911  # one for each line of a table
    status: int, number: int
) -> FailureClass:
    if number == _CONFLICT:
        revision_changed = status == _HTTP_PRECONDITION_FAILED
        return FailureClass.CONFLICT if revision_changed else FailureClass.KEY_BUSY
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
