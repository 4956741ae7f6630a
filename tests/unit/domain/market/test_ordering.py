"""Update ids: new, outdated, and restarted by the exchange."""

from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.domain.market.update_id_tracker import (
    RESTART_AFTER_MS,
    UpdateIdTracker,
    UpdateRecency,
)

update_ids = st.integers(0, 10**12)
gaps_ms = st.integers(0, RESTART_AFTER_MS)


@given(st.lists(update_ids, min_size=1))
def test_only_ids_above_all_earlier_ones_are_newer(ids: list[int]) -> None:
    """Two connections of one stream may overlap in any order: each id passes at most once,
    ascending.
    """
    order = UpdateIdTracker()
    passed = [i for i in ids if order.observe(i, received_ms=0) is UpdateRecency.NEWER]

    assert passed == sorted({max(ids[: n + 1]) for n in range(len(ids))})
    assert order.newest_id == max(ids)


@given(st.lists(st.tuples(st.integers(0, 20), gaps_ms), min_size=1))
def test_restarted_count_is_detected_after_the_delay(
    updates: list[tuple[int, int]],
) -> None:
    """Against an order that remembers every update: RESTARTED when all updates of the last five
    seconds or more, since the newest id was last seen, were behind it.
    """
    order = UpdateIdTracker()
    now_ms, newest = 0, -1
    behind: list[int] = []
    for update_id, gap_ms in updates:
        now_ms += gap_ms
        verdict = order.observe(update_id, now_ms)
        if update_id >= newest:
            assert verdict is (
                UpdateRecency.NEWER if update_id > newest else UpdateRecency.NOT_NEWER
            )
            newest, behind = update_id, []
            continue
        behind.append(now_ms)
        if now_ms - behind[0] >= RESTART_AFTER_MS:
            assert verdict is UpdateRecency.RESTARTED
            newest, behind = update_id, []
        else:
            assert verdict is UpdateRecency.NOT_NEWER


def test_after_a_restart_the_new_count_continues() -> None:
    order = UpdateIdTracker()
    verdicts = [
        order.observe(update_id, received_ms)
        for update_id, received_ms in [
            (900, 0),
            (5, 1_000),
            (6, 5_999),
            (7, 6_000),
            (7, 6_001),
            (8, 6_002),
        ]
    ]

    assert verdicts == [
        UpdateRecency.NEWER,
        UpdateRecency.NOT_NEWER,
        UpdateRecency.NOT_NEWER,
        UpdateRecency.RESTARTED,
        UpdateRecency.NOT_NEWER,
        UpdateRecency.NEWER,
    ]


def test_repeated_id_after_a_reconnect_is_not_a_restart() -> None:
    """The newest id, repeated hours apart, is still a duplicate."""
    order = UpdateIdTracker()
    order.observe(900, 0)

    assert {order.observe(900, hour * 3_600_000) for hour in range(5)} == {UpdateRecency.NOT_NEWER}
