"""The token file: reloading, damage, permissions and concurrent commands."""

import logging
import os
import stat
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest
from msgspec import structs

from chimera_s1.adapters.system.file_token_store import (
    TOKEN_FILE_BYTES_MAX,
    FileTokenStore,
    read_token_file,
    write_token_file,
)
from chimera_s1.domain.access.scopes import Scope
from chimera_s1.domain.access.tokens import TokenRecord, make_token
from chimera_s1.domain.errors import ConfigurationError
from chimera_s1.domain.operations.health import Level
from tests.fakes.manual_clock import ManualClock


def record(kid: str) -> TokenRecord:
    return make_token(kid, b"x" * 32, actor="bot", scopes=[Scope.READ], created_at=1)[1]


OLD, NEW = record("oldtoken"), record("newtoken")
REVOKED = structs.replace(OLD, revoked_at=5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "tokens.json"
    write_token_file(file, [OLD])
    return file


def test_the_file_is_accessible_to_its_owner_only(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["tokens.json"]


async def test_a_change_by_another_process_is_seen_after_one_second(
    path: Path,
) -> None:
    clock = ManualClock()
    store = FileTokenStore(path, clock)
    write_token_file(path, [REVOKED, NEW])

    await clock.advance(999)
    assert store.find("oldtoken") == OLD
    assert store.find("newtoken") is None
    await clock.advance(1)
    assert store.find("oldtoken") == REVOKED
    assert store.find("newtoken") == NEW


def damage_file(path: Path, damage: str | None) -> None:
    if damage is None:
        path.unlink()
    else:
        path.write_text(damage)


@pytest.mark.parametrize("damage", ["", "{", '{"tokens": [{"kid": "x"}]}', None])
async def test_an_unreadable_new_file_keeps_the_old_tokens_and_is_logged_once(
    path: Path, damage: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Also if the file is missing; the next readable version is loaded."""
    clock = ManualClock()
    store = FileTokenStore(path, clock)
    damage_file(path, damage)
    for _ in range(3):
        await clock.advance(1_000)
        assert store.find("oldtoken") == OLD
    write_token_file(path, [NEW])
    await clock.advance(1_000)

    assert store.find("oldtoken") is None
    assert store.find("newtoken") == NEW
    [error] = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert error.getMessage().endswith("; keeping the previously loaded tokens")


def row(digest: str = "0" * 64, more: str = "") -> str:
    return (
        f'{{"kid": "abcd", "sha256": "{digest}", "actor": "bot", "scopes": ["read"], '
        f'"created_at": 1{more}}}'
    )


MISSPELT = row(more=', "not_afer": 5')


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is damaged"),
        ("[]", "is damaged"),
        ("\ufffd".encode("utf-16"), "is damaged"),
        (f'{{"tokens": [{MISSPELT}]}}', "unknown field `not_afer`"),
        (f'{{"tokens": [{row(digest="00")}]}}', "sha256 of abcd is not 64 hex digits"),
        (f'{{"tokens": [{row()}, {row()}]}}', "duplicate key ids abcd"),
    ],
)
def test_the_error_for_a_damaged_file_has_its_path_and_reason(
    path: Path, content: str | bytes, message: str
) -> None:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())

    with pytest.raises(ConfigurationError) as caught:
        FileTokenStore(path, ManualClock())

    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_a_token_pasted_in_place_of_its_kid_is_not_quoted(path: Path) -> None:
    text, _ = make_token("abcd", b"y" * 32, actor="bot", scopes=[Scope.READ], created_at=1)
    path.write_text(path.read_text().replace("oldtoken", text))

    with pytest.raises(ConfigurationError) as caught:
        read_token_file(path)

    assert text not in str(caught.value)


def test_the_error_for_a_missing_file_says_how_to_create_it(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match="not exist; create it with chimera-s1 tokens create"
    ):
        FileTokenStore(tmp_path / "nowhere.json", ManualClock())


def test_the_error_for_a_missing_directory_has_advice(tmp_path: Path) -> None:
    store = FileTokenStore(tmp_path / "no" / "tokens.json", ManualClock(), allow_missing=True)

    with pytest.raises(ConfigurationError, match="create its directory first"):
        store.put(OLD)


def test_a_damaged_file_is_never_overwritten(path: Path) -> None:
    store = FileTokenStore(path, ManualClock())
    path.write_text("{")

    with pytest.raises(ConfigurationError, match="is damaged"):
        store.put(NEW)

    assert path.read_text() == "{"


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666, 0o660])
def test_a_file_that_others_can_change_is_refused(path: Path, mode: int) -> None:
    path.chmod(mode)

    with pytest.raises(ConfigurationError, match=rf"mode {mode:04o}.*chmod go-w {path}, then"):
        FileTokenStore(path, ManualClock())
    with pytest.raises(ConfigurationError, match="can be changed by other users"):
        FileTokenStore(path, ManualClock(), allow_missing=True)


@pytest.mark.parametrize("mode", [0o777, 0o757])
def test_a_file_that_others_can_replace_is_refused(path: Path, mode: int) -> None:
    path.parent.chmod(mode)

    with pytest.raises(ConfigurationError, match=f"other users can replace it.* {path.parent} "):
        FileTokenStore(path, ManualClock())
    path.parent.chmod(mode | stat.S_ISVTX)
    assert FileTokenStore(path, ManualClock()).records() == (OLD,)


def test_a_file_of_another_user_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only root can give a file away, so the process is another user here."""
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    owner = path.stat().st_uid
    refused = pytest.raises(ConfigurationError, match=f"uid {owner}.*chown 12345 {path}")

    with refused if owner else nullcontext():
        FileTokenStore(path, ManualClock())


def allow(path: Path, mode: int) -> None:
    path.chmod(mode)


async def test_a_change_of_the_directory_is_noticed(path: Path) -> None:
    """The file itself does not change."""
    clock = ManualClock()
    store = FileTokenStore(path, clock)
    path.parent.chmod(0o777)
    await clock.advance(1_000)
    assert store.report().level is Level.ORANGE
    write_token_file(path, [NEW])
    await clock.advance(1_000)
    assert store.find("newtoken") is None

    path.parent.chmod(0o700)
    await clock.advance(1_000)
    assert store.find("newtoken") == NEW
    assert store.report().level is Level.GREEN


async def test_a_file_that_others_can_change_while_running_keeps_the_old_tokens(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where only its mode changes; health says so, and that it is over."""
    clock = ManualClock()
    store = FileTokenStore(path, clock)
    assert (store.report().level, store.report().sentence) == (Level.GREEN, "tokens loaded: 1")

    allow(path, 0o666)
    await clock.advance(1_000)
    report = store.report()
    assert report.level is Level.ORANGE
    assert "can be changed by other users (mode 0666)" in report.sentence
    assert "the tokens loaded before stay in use (1)" in report.sentence

    write_token_file(path, [NEW])
    allow(path, 0o666)
    await clock.advance(1_000)
    assert store.find("newtoken") is None
    assert store.find("oldtoken") == OLD

    allow(path, 0o600)
    await clock.advance(1_000)
    assert store.report().level is Level.GREEN
    assert store.find("newtoken") == NEW
    assert "keeping the previously loaded tokens" in caplog.text


def test_a_link_is_followed_and_kept(path: Path, tmp_path: Path) -> None:
    """As a deployment links the file of a mounted directory."""
    (tmp_path / "etc").mkdir()
    link = tmp_path / "etc" / "link.json"
    link.symlink_to("../tokens.json")

    FileTokenStore(link, ManualClock()).put(NEW)

    assert link.is_symlink()
    assert read_token_file(path) == (OLD, NEW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in link.parent.iterdir()] == ["link.json"]


def test_a_dangling_link_is_followed(tmp_path: Path) -> None:
    link = tmp_path / "link.json"
    link.symlink_to("later.json")

    FileTokenStore(link, ManualClock(), allow_missing=True).put(NEW)

    assert link.is_symlink()
    assert read_token_file(tmp_path / "later.json") == (NEW,)


def test_what_is_no_regular_file_or_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="a device, not a regular file"):
        FileTokenStore(Path("/dev/zero"), ManualClock())
    large = tmp_path / "large"
    large.touch(0o600)
    os.truncate(large, TOKEN_FILE_BYTES_MAX + 1)
    with pytest.raises(ConfigurationError, match="larger than"):
        FileTokenStore(large, ManualClock())


@pytest.mark.parametrize(("mode", "warned"), [(0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1)])
def test_a_file_accessible_to_others_is_logged_as_a_warning(
    path: Path, mode: int, warned: int, caplog: pytest.LogCaptureFixture
) -> None:
    path.chmod(mode)

    FileTokenStore(path, ManualClock())

    message = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert len(message) == warned
    assert all(f"chmod 600 {path}" in text for text in message)


def test_concurrent_commands_lose_no_token(path: Path) -> None:
    kids = [f"kid{number:03}" for number in range(24)]
    start = threading.Barrier(len(kids))

    def put(kid: str) -> None:
        store = FileTokenStore(path, ManualClock())
        start.wait()
        store.put(record(kid))

    threads = [threading.Thread(target=put, args=(kid,)) for kid in kids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {each.kid for each in read_token_file(path)} == {"oldtoken", *kids}
