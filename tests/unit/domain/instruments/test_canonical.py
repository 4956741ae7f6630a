"""The canonical text of a content, its hash, and the difference between two contents."""

import json
from decimal import Decimal
from unicodedata import normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from chimera_s1.domain.canonical import canonical_json
from chimera_s1.domain.identifiers import InstrumentId, Symbol, Venue
from chimera_s1.domain.instruments.canonical import spec_hash
from chimera_s1.domain.instruments.difference import difference
from chimera_s1.domain.instruments.instrument import (
    InstrumentContent,
    InstrumentSpec,
    LeverageBrackets,
)
from chimera_s1.domain.operations.active_configuration import RiskLimits
from tests.sample_instruments import BRACKETS, BTC_PERP, BTC_SPOT

NUMBERS = st.decimals(
    allow_nan=False, allow_infinity=False, min_value=0, max_value=10**12, places=8
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS | NUMBERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=10,
)
CONTENTS = st.builds(
    InstrumentContent,
    spec=st.builds(
        InstrumentSpec,
        instrument=st.just(BTC_PERP.instrument),
        status=st.sampled_from(["TRADING", "SETTLING"]),
        base_asset=TEXTS,
        quote_asset=st.just("USDT"),
        tick_size=st.none() | NUMBERS,
        order_types=st.lists(TEXTS, max_size=2).map(tuple),
        oco_allowed=st.booleans(),
        filters=st.sets(st.sampled_from(["LOT_SIZE", "NEW"])).map(
            lambda kinds: tuple(f'{{"filterType":"{kind}"}}' for kind in sorted(kinds))
        ),
    ),
    listed=st.booleans(),
    leverage_brackets=st.none()
    | st.builds(
        LeverageBrackets,
        account=TEXTS.filter(bool),
        notional_coef=st.none() | NUMBERS,
        brackets=st.just(BRACKETS.brackets) | st.just(()),
    ),
    funding_interval_h=st.none() | st.sampled_from([1, 2, 4, 8]),
    risk=st.none() | st.builds(RiskLimits, rev=st.integers(1, 9), spread_bp_limit=st.floats(0, 99)),
)


@settings(max_examples=40)
@given(JSON_VALUES)
def test_canonical_json_is_sorted_compact_nfc_and_has_no_floats(value: object) -> None:
    """And the text of what it says is itself."""
    text = canonical_json(value)

    plain = json.loads(text, parse_float=pytest.fail)
    rewritten = json.dumps(plain, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    assert json.loads(rewritten) == plain
    assert normalize("NFC", rewritten) == rewritten
    assert canonical_json(plain) == text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Decimal("0.10"), Decimal("0.1")),
        (Decimal("1E+3"), Decimal("1000.000")),
        ("caf\u00e9", "cafe\u0301"),
        ({"b": 1, "a": 2}, {"a": 2, "b": 1}),
        (5.0, Decimal(5)),
    ],
)
def test_equal_values_have_one_text(one: object, other: object) -> None:
    """Digits, order and composition of letters are not content."""
    assert canonical_json(one) == canonical_json(other)


def test_the_hash_of_a_content_is_fixed() -> None:
    """Stored rows are verified against it: it must not change with a release."""
    content = InstrumentContent(
        spec=BTC_PERP,
        leverage_brackets=BRACKETS,
        funding_interval_h=8,
        risk=RiskLimits(rev=12, spread_bp_limit=5.0, depth_top1_usdt_min=20_000.0),
    )

    assert spec_hash(content) == (
        "91211c8e00775cf4409b02eac82a21a654365c21546a9f5dbbeddf21c05368e4"
    )


def test_fields_at_their_default_are_not_in_the_hash() -> None:
    """So that a release that adds an optional field makes no new version of every row."""
    text = canonical_json(InstrumentContent(spec=BTC_SPOT))

    assert "funding_interval_h" not in text
    assert "contract_type" not in text
    assert '"instrument":"spot/BTCUSDT"' in text


def test_the_venue_is_part_of_the_hash() -> None:
    """Two instruments of one symbol are two contents."""
    spot = structs.replace(BTC_PERP, instrument=InstrumentId(Venue.SPOT, Symbol("BTCUSDT")))

    assert spec_hash(InstrumentContent(spec=spot)) != spec_hash(InstrumentContent(spec=BTC_PERP))


@settings(max_examples=40)
@given(CONTENTS, CONTENTS)
def test_contents_differ_exactly_when_their_hashes_do(
    one: InstrumentContent, other: InstrumentContent
) -> None:
    """Then the difference names at least one field, with both of its texts; else none."""
    changed = difference(one, other)

    assert bool(changed) == (spec_hash(one) != spec_hash(other))
    assert all(old != new for _, old, new in changed)
    assert set(difference(other, one)) == {(name, new, old) for name, old, new in changed}


def test_a_difference_reads_like_a_spec_sheet() -> None:
    """Field, old and new text; filters by type, brackets by number."""
    old = InstrumentContent(spec=BTC_PERP, leverage_brackets=BRACKETS)
    new = InstrumentContent(
        spec=structs.replace(
            BTC_PERP,
            status="SETTLING",
            tick_size=Decimal("0.50"),
            onboard_date=None,
            order_types=("LIMIT",),
            filters=(*BTC_PERP.filters, '{"filterType":"NEW","limit":7}'),
        ),
        listed=False,
        leverage_brackets=structs.replace(
            BRACKETS, brackets=(structs.replace(BRACKETS.brackets[0], initial_leverage=100),)
        ),
        risk=RiskLimits(rev=3, spread_bp_limit=5.0),
    )

    assert difference(old, new) == (
        ("status", "TRADING", "SETTLING"),
        ("onboard_date", "1569398400000", ""),
        ("tick_size", "0.1", "0.5"),
        ("order_types", "LIMIT,MARKET,STOP_MARKET", "LIMIT"),
        ("listed", "true", "false"),
        (
            "leverage_brackets.1",
            "125x, 0 to 300000, maintenance 0.004 - 0",
            "100x, 0 to 300000, maintenance 0.004 - 0",
        ),
        ("filters.NEW", "", '{"filterType":"NEW","limit":7}'),
        ("risk.rev", "", "3"),
        ("risk.spread_bp_limit", "", "5"),
    )
