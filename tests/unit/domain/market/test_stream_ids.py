"""The ids of stream entries."""

import pytest

from chimera_s1.domain.errors import InvalidValueError
from chimera_s1.domain.identifiers import Channel
from chimera_s1.domain.market.entry_id import EntryId
from chimera_s1.domain.market.stream_ids import channel_number


@pytest.mark.parametrize("text", ["", "1", "-", "1-", "-1", "a-1", "1-b", "1-2-3", "1--2"])
def test_a_text_that_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match="not an entry id"):
        EntryId.parse(text)


def test_ids_compare_as_numbers() -> None:
    """Milliseconds first."""
    ordered = ["9-10", "10-2", "10-10", "11-0"]

    assert sorted(map(EntryId.parse, reversed(ordered))) == list(map(EntryId.parse, ordered))


def test_each_channel_has_a_number_of_its_own() -> None:
    """They are on streams: a change would reorder entries across an upgrade."""
    numbers = {channel: channel_number(f"binance.spot.{channel.value}") for channel in Channel}

    assert numbers == {Channel.BOOK_TICKER: 0, Channel.DEPTH5: 1}


def test_a_source_without_a_channel_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="does not end in a channel"):
        channel_number("binance.spot.trade")
