"""Where streams are placed while the selection changes."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.binance.streams.stream_placement import PlacementChange, StreamPlacement

SELECTIONS = st.lists(st.lists(st.sampled_from("abcdefghij"), unique=True), min_size=1, max_size=8)


def test_a_first_selection_fills_as_few_connections_as_it_needs() -> None:
    placement = StreamPlacement("perp", 2)
    changes = placement.select(list("abcde"))

    assert placement.connections == {
        "perp-0": ("a", "b"),
        "perp-1": ("c", "d"),
        "perp-2": ("e",),
    }
    assert changes["perp-2"] == PlacementChange(("e",), ())


def test_a_new_stream_goes_where_room_is() -> None:
    """Of the connections, only that one changes."""
    placement = StreamPlacement("perp", 2)
    placement.select(list("abcd"))

    assert placement.select(list("acd")) == {"perp-0": PlacementChange((), ("b",))}
    assert placement.select(list("acde")) == {"perp-0": PlacementChange(("e",), ())}
    assert placement.connections == {"perp-0": ("a", "e"), "perp-1": ("c", "d")}


def test_a_connection_without_streams_ends_and_its_name_is_used_again() -> None:
    placement = StreamPlacement("spot", 1)
    placement.select(list("abc"))
    changes = placement.select(list("ac"))

    assert changes == {"spot-1": PlacementChange((), ("b",))}
    assert placement.connections == {"spot-0": ("a",), "spot-2": ("c",)}
    assert placement.select(list("acd")) == {"spot-1": PlacementChange(("d",), ())}


@given(SELECTIONS, st.integers(1, 4))
def test_what_stays_is_never_moved(selections: list[list[str]], per_connection: int) -> None:
    """Whatever comes and goes: each stream has one connection, none is above its limit, and a
    stream that stays is in no change.
    """
    placement = StreamPlacement("spot", per_connection)
    places: list[dict[str, str]] = [{}]
    for wanted in selections:
        changes = placement.select(wanted)
        places.append({s: name for name, all_ in placement.connections.items() for s in all_})
        before, after = places[-2:]
        assert sorted(after) == sorted(wanted)
        assert sum(map(len, placement.connections.values())) == len(wanted)
        assert all(len(streams) <= per_connection for streams in placement.connections.values())
        added = {(name, s) for name, change in changes.items() for s in change.add}
        removed = {(name, s) for name, change in changes.items() for s in change.remove}
        assert added == {(name, s) for s, name in after.items() if s not in before}
        assert removed == {(name, s) for s, name in before.items() if s not in after}
    for before, after in pairwise(places):
        assert all(before[stream] == after[stream] for stream in before.keys() & after)


def test_the_same_selection_again_changes_nothing() -> None:
    placement = StreamPlacement("spot", 2)
    placement.select(list("abc"))

    assert placement.select(list("cba")) == {}
