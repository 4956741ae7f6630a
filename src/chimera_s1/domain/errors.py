"""The errors of this service."""


class ChimeraError(Exception):
    """Base class; *code* is stable, the text is for people."""

    code = "chimera"


class InvalidValueError(ChimeraError, ValueError):
    """A value breaks a rule; the text names both."""

    code = "value.invalid"


class ConfigurationError(ChimeraError):
    """A setting or argument must be changed; the text says which, where and to what."""

    code = "configuration"


class PortError(ChimeraError):
    """Something outside the process failed; adapters raise it in place of foreign exceptions."""

    code = "port"


class PublisherUnavailableError(PortError):
    """The stream store is unavailable; the same call may succeed later."""

    code = "publisher.unavailable"


class PublisherRefusedError(PublisherUnavailableError):
    """The stream store refuses this entry or its key, as with WRONGTYPE: repeating it helps only
    after someone has repaired the key.
    """

    code = "publisher.refused"


class ExchangeUnavailableError(PortError):
    """No reply, or the exchange is overloaded; the same call may succeed later."""

    code = "exchange.unavailable"


class ClockUncertainError(ExchangeUnavailableError):
    """The exchange's clock is not known well enough to sign a request; nothing was sent."""

    code = "clock.uncertain"


class RequestNotAdmittedError(ExchangeUnavailableError):
    """Not sent: a rate limit, or a hold of the exchange, leaves no room for the request.

    Attributes:
        wait_ms: There is none before; infinite if there never is.
    """

    code = "exchange.no_room"

    def __init__(self, text: str, wait_ms: float) -> None:
        super().__init__(text)
        self.wait_ms = wait_ms


class ExchangeRefusedError(PortError):
    """The exchange refused the request; repeating it unchanged will not help."""

    code = "exchange.refused"


class OtherAccountError(ExchangeRefusedError):
    """The exchange key belongs to another account than the execution ledger."""

    code = "execution.other_account"


class ConfigurationUnavailableError(PortError):
    """S10 gives no reply or an error; the text has its own words. The same call may succeed
    later.
    """

    code = "s10.unavailable"


class ConfigurationNotKeptError(PortError):
    """The last snapshot of S10 cannot be saved or read back; the text says why."""

    code = "s10.not_kept"


class RecordingDamagedError(PortError):
    """A line of a market data file is not a market data message; the text names the line."""

    code = "recording.damaged"


class ArchiveDamagedError(PortError):
    """A file of the exchange's public archive is not what it should be; nothing of it is used."""

    code = "archive.damaged"


class StoreUnavailableError(PortError):
    """The ledger store gave no valid answer. The outcome of a write is unknown; appending the same
    commit again is safe and determines it.
    """

    code = "store.unavailable"


class AppendUncertainError(StoreUnavailableError):
    """The outcome of an append is unknown; the commit may still appear, at its sequence number."""

    code = "store.in_doubt"

    def __init__(self, message: str, commit_id: str) -> None:
        super().__init__(message)
        self.commit_id = commit_id


class LedgerDamagedError(PortError):
    """A commit was edited, removed or reordered; the text names its position."""

    code = "ledger.damaged"


class LedgerTooNewError(PortError):
    """Events of a newer version of S1 in the ledger: this version shows them but cannot act."""

    code = "ledger.too_new"


class ServiceStoppingError(ChimeraError):
    """The service is stopping: it starts nothing that spends."""

    code = "service.stopping"


class ClientIdUsedError(ChimeraError):
    """The client order id belongs to an earlier order; an id is never used for a second one."""

    code = "execution.client_id_used"


class OrderNotPlannedError(ChimeraError):
    """The execution ledger does not have the order."""

    code = "execution.order_not_planned"
