import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.s10.active_document import UNKNOWN_FIELDS_MAX, read_document
from chimera_s1.domain.operations.active_configuration import (
    InstrumentDraft,
    Refusal,
    Snapshot,
    SnapshotDraft,
    ThresholdsDraft,
    judge,
)

ROW = {
    "venue": "perp",
    "symbol": "BTCUSDT",
    "spread_bp_limit": 5,
    "depth_top1_usdt_min": 20000,
}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def read(document: object) -> SnapshotDraft:
    return read_document(msgspec.json.encode(document))


def test_the_documented_shape_is_read() -> None:
    assert read({"rev": 12, "instruments": [ROW], "defaults": {"spread_bp_limit": 10}}) == (
        SnapshotDraft(
            rev=12,
            defaults=ThresholdsDraft(10, None),
            instruments=(
                InstrumentDraft("instruments[0]", "perp", "BTCUSDT", ThresholdsDraft(5, 20000)),
            ),
        )
    )


@pytest.mark.parametrize("defaults", [{}, {"defaults": None}, {"defaults": {}}])
def test_defaults_may_be_left_out(defaults: dict[str, object]) -> None:
    draft = read({"rev": 1, "instruments": [], **defaults})

    assert draft.defaults == ThresholdsDraft()
    assert draft.problems == ()


def test_unknown_fields_are_named_once_and_change_nothing() -> None:
    row = {**ROW, "note": 1}
    plain = read({"rev": 1, "instruments": [ROW, ROW], "defaults": {}})
    draft = read({"rev": 1, "instruments": [row, row], "defaults": {"x\n": 1}, "author": "me"})

    assert draft.unknown_fields == ("author", "defaults.x\\n", "instruments[].note")
    assert (draft.rev, draft.instruments) == (plain.rev, plain.instruments)


def test_the_names_of_unknown_fields_are_bounded() -> None:
    draft = read({"rev": 1, "instruments": [], **{f"{n}{'x' * 999}": n for n in range(99)}})

    assert len(draft.unknown_fields) == UNKNOWN_FIELDS_MAX
    assert max(map(len, draft.unknown_fields)) <= 60


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "the body is not JSON"),
        (b"<html>502</html>", "the body is not JSON"),
        (b'{"rev":1,"instruments":[', "the body is not JSON"),
        (b'{"rev":1,"instruments":[],"x":"\xff"}', "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON"),
        (b"[]", "the body is a list, not an object"),
        (b"null", "the body is missing or null, not an object"),
        (b'{"rev":1}', "instruments is missing or null, not a list"),
        (b'{"rev":1,"instruments":{}}', "instruments is an object, not a list"),
        (b'{"rev":1,"instruments":[7,"x"]}', "instruments[0] is a number, not an object"),
        (b'{"rev":1,"instruments":[],"defaults":3}', "defaults is a number, not an object"),
    ],
)
def test_what_is_wrong_with_the_form_is_named(body: bytes, problem: str) -> None:
    draft = read_document(body)

    assert any(problem in each for each in draft.problems)
    assert isinstance(judge(draft, None, selects=False), Refusal)


def test_the_rows_keep_their_places_in_the_list() -> None:
    draft = read({"rev": 1, "instruments": [7, ROW]})

    assert [row.where for row in draft.instruments] == ["instruments[1]"]


@given(st.binary())
def test_any_body_gives_a_judgement(body: bytes) -> None:
    assert isinstance(judge(read_document(body), None, selects=True), Refusal)


@given(rev=json_values, rows=st.lists(st.just(ROW) | json_values, max_size=4), defaults=json_values)
def test_any_values_give_a_judgement(rev: object, rows: list[object], defaults: object) -> None:
    draft = read({"rev": rev, "instruments": rows, "defaults": defaults})

    assert isinstance(judge(draft, None, selects=False), Refusal | Snapshot)
