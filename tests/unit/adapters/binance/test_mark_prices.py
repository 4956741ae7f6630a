"""Messages of the mark price stream, as Binance and others' bug reports know them."""

import json

import pytest

from chimera_s1.adapters.binance.http.row_reader import RowReader, UnusableRow
from chimera_s1.adapters.binance.mark_prices import MarkPriceDecoder
from chimera_s1.domain.funding.estimate import FundingEstimate
from chimera_s1.domain.identifiers import Symbol

T, E = 1_772_506_400_000, 1_772_505_380_000
ROW = {
    "e": "markPriceUpdate", "E": E, "s": "BTCUSDT", "p": "67794.15000000", "ap": "67790.10000000",
    "i": "67784.62659091", "P": "67784.25641265", "r": "0.00038167", "T": T, "st": 1,
}  # fmt: skip
ESTIMATE = FundingEstimate(Symbol("BTCUSDT"), "0.00038167", T, E)


class Decoding:
    def __init__(self) -> None:
        self.named: list[UnusableRow] = []
        self._decoder = MarkPriceDecoder(RowReader(self.named.append))
        self.counts = self._decoder.counts

    def decode(self, *rows: object) -> list[FundingEstimate]:
        return self.decode_bytes(json.dumps(list(rows)).encode())

    def decode_bytes(self, data: bytes) -> list[FundingEstimate]:
        return self._decoder.decode(b'{"stream":"!markPrice@arr@1s","data":%b}' % data)


def without(key: str) -> dict[str, object]:
    return {name: value for name, value in ROW.items() if name != key}


def test_a_row_is_an_estimate() -> None:
    """Rows have had `st` since 2026-06; without it they are USD-M."""
    decoding = Decoding()

    assert decoding.decode(ROW, without("st")) == [ESTIMATE, ESTIMATE]


def test_coin_margined_rows_are_counted() -> None:
    decoding = Decoding()

    assert decoding.decode({**ROW, "s": "BTCUSD_PERP", "st": 2}) == []
    assert (decoding.counts.coin_margined, decoding.counts.unreadable) == (1, 0)


@pytest.mark.parametrize(
    "row",
    [
        # The case of cryptofeed#672: an empty rate raised there.
        {"e": "markPriceUpdate", "s": "BTCUSDT_261225", "p": "67000", "r": "", "T": 0},
        {**ROW, "r": ""},
        {**ROW, "T": 0},
        without("r"),
    ],
)
def test_a_contract_without_funding_is_neither_an_error_nor_a_rate_of_0(
    row: dict[str, object],
) -> None:
    decoding = Decoding()

    assert decoding.decode(row, ROW) == [ESTIMATE]
    assert (decoding.counts.without_funding, decoding.counts.unreadable) == (1, 0)
    assert decoding.named == []


@pytest.mark.parametrize(
    "change",
    [
        {"r": "1e-5"},
        {"r": "NaN"},
        {"r": " 0.1"},
        {"r": "0.1\n"},
        {"r": "1_000"},
        {"r": "0.٣"},
        {"r": 0.0001},
        {"r": None},
        {"r": "9" * 1_000},
        {"r": "0." + "1" * 40},
        {"T": "soon"},
        {"T": -1},
        {"T": 10**16},
        {"E": 0},
        {"s": "A B"},
        {"s": ""},
        {"s": 7},
        {"st": "odd"},
    ],
)
def test_an_unreadable_row_costs_no_other_row_and_is_named_once(change: dict[str, object]) -> None:
    decoding = Decoding()
    for second in range(3):
        later = E + 1_000 * second
        rows = [{**ROW, **change, **({} if "E" in change else {"E": later})}, {**ROW, "E": later}]

        assert [each.event_time for each in decoding.decode(*rows)] == [later]
    assert decoding.counts.unreadable == 3
    assert len(decoding.named) == 1


@pytest.mark.parametrize(
    "data", [b"null", b"7", b'{"e":"markPriceUpdate"}', b"[" * 100_000, b"\xff"]
)
def test_an_unreadable_message_is_counted(data: bytes) -> None:
    decoding = Decoding()

    assert decoding.decode_bytes(data) == []
    assert decoding.counts.unreadable == 1
    assert decoding.decode(ROW) == [ESTIMATE]


def test_a_symbol_in_other_letters_is_read() -> None:
    """Binance allows any letter since 2025-12."""
    decoding = Decoding()

    assert [each.symbol for each in decoding.decode({**ROW, "s": "币安人生USDT"})] == [
        "币安人生USDT"
    ]
