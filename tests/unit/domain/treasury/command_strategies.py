"""Hypothesis strategies: any sequence of commands for a few transfers."""

from decimal import Decimal

from hypothesis import strategies as st
from msgspec.structs import replace

from chimera_s1.domain.identifiers import TransferId
from chimera_s1.domain.treasury.commands import (
    ExpireTransfer,
    RecordAbsent,
    RecordCompleted,
    RecordDisputed,
    RecordMatched,
    RecordNotExecuted,
    RecordRefused,
    RecordUnknown,
    RecordVerified,
    RequestReview,
    RequestTransfer,
    ResolveTransfer,
    StartSubmission,
)
from chimera_s1.domain.treasury.events import (
    Evidence,
    FailureReason,
    NotExecutedReason,
    OperatorVerdict,
)
from tests.transfer_events import AT, TERMS

names = st.sampled_from([TransferId("a"), TransferId("b"), TransferId("c")])
attempts = st.integers(0, 3)
numbers = st.sampled_from(["1", "2", "3"])
moments = st.integers(AT, AT + 700_000)
amounts = st.sampled_from([Decimal("0.5"), Decimal(40), Decimal("40.0"), Decimal(70)])
tight = replace(TERMS, limits=replace(TERMS.limits, daily_cap=Decimal(110)))
commands = st.one_of(
    st.builds(RequestTransfer, names, st.builds(lambda a: replace(tight, amount=a), amounts)),
    st.builds(
        StartSubmission,
        attempts,
        moments,
        st.just(5_000),
        st.just("hash"),
        st.just(600_000),
        moments,
    ),
    st.builds(ExpireTransfer, st.just(600_000), moments),
    st.builds(RecordCompleted, attempts, numbers, st.sampled_from(Evidence), moments),
    st.builds(RecordMatched, attempts, numbers, moments),
    st.builds(RecordRefused, attempts, st.sampled_from(FailureReason), st.just("no"), moments),
    st.builds(
        RecordNotExecuted,
        attempts,
        st.sampled_from(NotExecutedReason),
        st.just("x"),
        moments,
        moments,
    ),
    st.builds(RecordUnknown, attempts, st.just("reset"), moments),
    st.builds(RecordAbsent, attempts, st.just((AT,)), moments),
    st.builds(RecordVerified, numbers),
    st.builds(RecordDisputed, st.just("x"), moments),
    st.builds(RequestReview, st.just("x"), moments),
    st.builds(ResolveTransfer, st.sampled_from(OperatorVerdict), numbers, st.just("seen"), moments),
)
command_sequences = st.lists(st.tuples(names, commands), max_size=60)
"""Pairs of transfer id and command."""
