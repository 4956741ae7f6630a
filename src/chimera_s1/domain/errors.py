"""The errors a caller may meet, each with a stable code.

ChimeraError
├── InvalidValueError        a value cannot be what it claims to be
├── ConfigurationError       settings or arguments the user must change
└── PortError                something outside the process failed
├── PublisherUnavailableError   nothing was written; the same call may succeed later
├── ExchangeUnavailableError    the exchange did not answer; the same call may succeed later
├── ExchangeRefusedError        the exchange answered no; repeating will not help
├── RecordingDamagedError       a market data file has a line that is not a message
├── StoreUnavailableError       a write to the ledger's store may or may not be there
│   └── AppendInDoubtError      a commit may be in the ledger, or come to be there
├── LedgerDamagedError          a ledger is not what was once written
└── LedgerTooNewError           a newer program has written what this one cannot build upon
"""


class ChimeraError(Exception):
    """Base of every error this service raises on purpose; *code* is stable, the text is
    for people.
    """

    code = "chimera"


class InvalidValueError(ChimeraError, ValueError):
    """A value cannot be what it claims to be; the text names the value and the rule."""

    code = "value.invalid"


class ConfigurationError(ChimeraError):
    """Something the user typed or set must change; the text says what, where and to what."""

    code = "configuration"


class PortError(ChimeraError):
    """Something outside the process failed; raised by adapters in place of foreign exceptions."""

    code = "port"


class PublisherUnavailableError(PortError):
    """The stream store could not be reached; the same call may succeed later."""

    code = "publisher.unavailable"


class ExchangeUnavailableError(PortError):
    """The exchange did not answer, or said it is overloaded; the same call may succeed later."""

    code = "exchange.unavailable"


class ExchangeRefusedError(PortError):
    """The exchange understood and refused; repeating the call unchanged will not help."""

    code = "exchange.refused"


class RecordingDamagedError(PortError):
    """A market data file has a line that is not a market data message; the text names the line."""

    code = "recording.damaged"


class StoreUnavailableError(PortError):
    """The store of the ledger did not answer as it should. A read gave nothing; a write may or may
    not have been applied, and offering the same commit again tells.
    """

    code = "store.unavailable"


class AppendUncertainError(StoreUnavailableError):
    """A commit was handed to the store, which did not say what came of it: it may be in the ledger,
    or come to be there a little later, at its place or never.
    """

    code = "store.in_doubt"

    def __init__(self, message: str, commit_id: str) -> None:
        super().__init__(message)
        self.commit_id = commit_id


class LedgerDamagedError(PortError):
    """A ledger is not what was once written: edited, cut or out of order; the text
    names the place.
    """

    code = "ledger.damaged"


class LedgerTooNewError(PortError):
    """A newer program has written events that this one can keep and show, but not build upon."""

    code = "ledger.too_new"
