"""The fuzz target: quick enough to run with the tests, and able to find faults."""

import pytest

from chimera_s1.adapters.binance.streams import book_frames
from chimera_s1.domain.market import quote
from tests.load import fuzz_frames

EXECUTIONS = 6_000
SEED = 20_260_722


def upto(limit: int, seed: int = SEED) -> fuzz_frames.Outcome:
    return fuzz_frames.fuzz(seed, lambda executions: executions < limit)


def test_damaged_frames_raise_nothing_and_give_no_wrong_quote() -> None:
    """Same seed, same frames: what fails here fails again."""
    outcome = upto(EXECUTIONS)

    assert outcome.failures == []
    assert outcome.executions == EXECUTIONS
    assert outcome.quotes > EXECUTIONS / 50


def test_a_decoder_that_can_raise_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a bound on numbers, a time of 400 digits overflows in the alignment."""
    monkeypatch.setattr(book_frames, "JAVA_LONG_MAX", 10**5_000)

    # The next seed has such a frame early.
    assert any("OverflowError" in failure.what for failure in upto(2_000, SEED + 1).failures)


def test_a_quote_that_must_not_be_published_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oracle does not use the check that it verifies."""
    monkeypatch.setattr(book_frames, "book_defect", lambda *_: None)

    assert quote.book_defect(2.0, 1.0, 1.0, 1.0) is not None
    assert any("defective" in failure.what for failure in upto(EXECUTIONS).failures)


def test_a_failure_is_printed_and_is_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the seed that reproduces it."""
    options = ["--seed", str(SEED), "--executions", str(EXECUTIONS)]
    assert fuzz_frames.main([*options, "--executions", "200"]) == 0
    monkeypatch.setattr(book_frames, "book_defect", lambda *_: None)
    assert fuzz_frames.main(options) == 1

    printed = capsys.readouterr().out
    assert "FAILED frame: AssertionError: defective" in printed
    assert f"seed {SEED}, 200 executions" in printed
