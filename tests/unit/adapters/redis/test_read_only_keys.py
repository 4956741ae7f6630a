"""Keys that other services own: one module of the service knows each, and it only reads."""

import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[4] / "src" / "chimera_s1"
WRITING = re.compile(
    r'"(SET|SETEX|GETSET|GETDEL|DEL|UNLINK|XADD|XTRIM|XDEL|EXPIRE|RENAME|COPY|EVAL|EVALSHA|FCALL)"'
)


@pytest.mark.parametrize(
    ("constant", "reader"),
    [
        ("KILL_SWITCH_KEY", "adapters/redis/kill_switch.py"),
        ("ACTIVE_REVISION_KEY", "adapters/redis/revision_announcements.py"),
        ("CONFIGURATION_STREAM", "adapters/redis/revision_announcements.py"),
    ],
)
def test_a_key_of_others_is_known_to_its_reader_alone(constant: str, reader: str) -> None:
    """The simulator's S10 is not the service: it writes what it is asked for in S10's place."""
    using = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if re.search(rf"\b{constant}\b", path.read_text(encoding="utf-8"))
    }

    assert using == {"adapters/redis/keys.py", reader}
    assert WRITING.search((SOURCE / reader).read_text(encoding="utf-8")) is None
