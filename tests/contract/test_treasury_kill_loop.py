"""kill -9 at random moments; the long version is `make soak-kill`."""

from pathlib import Path

from tests.load.treasury_kill_loop import kill_loop

ROUNDS = 5


async def test_row_67_whatever_moment_kill_9_comes_at_the_books_agree(tmp_path: Path) -> None:
    """No transfer moves twice, is lost or stays undecided, and no client gets a wrong result."""
    result = await kill_loop(tmp_path, ROUNDS, seed=5)

    assert result.violations == []
    assert result.kills == ROUNDS
    assert result.moved == result.final_statuses["DONE"] > 0
    assert sum(result.fired.values()) > 0
    assert result.history.lost > 0
