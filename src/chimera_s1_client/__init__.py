"""A client of Chimera S1: quotes by symbol with their state, and transfers with safe retry."""

from chimera_s1_client.cluster_streams import RedisAccess, RedisUnavailableError
from chimera_s1_client.errors import (
    AccessError,
    ClientError,
    ConflictError,
    InvalidArgumentError,
    KeyReusedError,
    NoReplyError,
    NotFoundError,
    Problem,
    ProblemError,
    RequestInvalidError,
    UnavailableError,
)
from chimera_s1_client.http_session import HttpReply, HttpSession
from chimera_s1_client.quote import Condition, Instrument, Quote, State
from chimera_s1_client.quote_reader import (
    ConditionChanged,
    EntriesMissing,
    QuoteReader,
    ReaderCounters,
    ReaderOptions,
    Update,
    read_quotes,
)
from chimera_s1_client.transfer import (
    TransferFailed,
    TransferOk,
    TransferPending,
    TransferRequest,
    TransferResult,
    Wallet,
)
from chimera_s1_client.transfer_client import TransferClient

__all__ = [
    "AccessError",
    "ClientError",
    "Condition",
    "ConditionChanged",
    "ConflictError",
    "EntriesMissing",
    "HttpReply",
    "HttpSession",
    "Instrument",
    "InvalidArgumentError",
    "KeyReusedError",
    "NoReplyError",
    "NotFoundError",
    "Problem",
    "ProblemError",
    "Quote",
    "QuoteReader",
    "ReaderCounters",
    "ReaderOptions",
    "RedisAccess",
    "RedisUnavailableError",
    "RequestInvalidError",
    "State",
    "TransferClient",
    "TransferFailed",
    "TransferOk",
    "TransferPending",
    "TransferRequest",
    "TransferResult",
    "UnavailableError",
    "Update",
    "Wallet",
    "read_quotes",
]
