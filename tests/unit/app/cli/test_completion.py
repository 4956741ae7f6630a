"""Shell completion knows the commands and the drills."""

import pytest
from typer.testing import CliRunner

from chimera_s1.app.cli.application import app


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("chimera-s1 dr", {"drill"}),
        ("chimera-s1 drill silent-s", {"silent-socket", "silent-symbol"}),
        ("chimera-s1 tail --o", {"--once"}),
    ],
)
def test_bash_is_offered_what_can_come_next(words: str, expected: set[str]) -> None:
    environment = {
        "_CHIMERA_S1_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    result = CliRunner().invoke(app, [], prog_name="chimera-s1", env=environment)
    assert set(result.stdout.split()) == expected
