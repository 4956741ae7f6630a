"""A secret in a file: what is accepted, and when a new version is used."""

import os
import stat
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera_s1.adapters.system.atomic_file import replacing
from chimera_s1.adapters.system.secret_file import SECRET_BYTES_MAX, SecretFile, read_secret
from chimera_s1.domain.errors import InvalidValueError

SECRET = "hunter2 never shown"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return secret_in(tmp_path / "pass", SECRET.encode() + b"\n")


def secret_in(path: Path, content: bytes) -> Path:
    with replacing(path) as file:
        file.write(content)
    return path


def make_writable(path: Path) -> None:
    path.chmod(0o620)


def make_replaceable(path: Path) -> None:
    path.parent.chmod(0o777)


def make_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def make_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def containing(content: bytes) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        path.write_bytes(content)

    return spoil


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_secret_is_the_line_without_its_end(path: Path, end: str) -> None:
    path.write_text(f" {SECRET} {end}", newline="")
    assert read_secret(path) == f" {SECRET} "


def test_a_link_is_followed(path: Path) -> None:
    """Kubernetes replaces the link when it rotates a secret."""
    link = path.with_name("link")
    link.symlink_to(path)
    assert read_secret(link) == SECRET


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (Path.unlink, "cannot be read: No such file"),
        (make_directory, "cannot be read: a directory, not a regular file"),
        (make_fifo, "cannot be read: a FIFO .named pipe., not a regular file"),
        (make_writable, "can be changed by other users .mode 0620.; run chmod go-w"),
        (make_replaceable, "other users can replace it, because they can write"),
        (containing(b"\n"), "is empty"),
        (containing(b"hunter2\nnever"), "has more than one line"),
        (containing(b"hunter2\0"), "has more than one line, or control"),
        (containing(b"hunter2\xff"), "is not UTF-8 text"),
        (containing(b"x" * (SECRET_BYTES_MAX + 1)), "cannot be read: larger than 65536 bytes"),
    ],
)
def test_a_file_that_cannot_be_the_secret_is_refused_and_not_quoted(
    path: Path, spoil: Callable[[Path], None], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """At the start it is an error; later the secret read before stays in use."""
    file = SecretFile("S1_REDIS_PASS_FILE", path)
    spoil(path)

    with pytest.raises(InvalidValueError, match=f"{path}:? ({reason})") as caught:
        read_secret(path)
    assert [file.read(), file.read()] == [SECRET, SECRET]

    (line,) = caplog.messages
    assert line.startswith(f"S1_REDIS_PASS_FILE: {path}")
    assert line.endswith("the secret read before stays in use")
    assert "hunter2" not in f"{caught.value!r} {line} {caught.value.__cause__!r}"


def test_a_file_of_another_user_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only root can give a file away, so the process is another user here."""
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    owner = path.stat().st_uid
    refused = pytest.raises(InvalidValueError, match=f"uid {owner}.*chown 12345 {path}")

    with refused if owner else nullcontext():
        read_secret(path)


def test_a_change_of_the_directory_is_noticed(path: Path) -> None:
    """The file itself has not changed since it was refused."""
    file = SecretFile("S1_REDIS_PASS_FILE", path)
    make_replaceable(path)
    secret_in(path, b"the next one\n")
    assert file.read() == SECRET
    path.parent.chmod(0o700)
    assert file.read() == "the next one"


def test_a_new_version_is_announced_before_it_is_used(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log must know what to hide before anybody can show it."""
    caplog.set_level("INFO")
    file = SecretFile("S1_REDIS_PASS_FILE", path)
    announced: list[str] = []
    file.on_change = announced.append

    assert file.read() == SECRET
    assert not announced
    secret_in(path, b"the next one\n")
    assert (file.read(), announced) == ("the next one", ["the next one"])
    secret_in(path, b"the next one")  # rewritten with the same secret
    assert (file.read(), len(announced)) == ("the next one", 1)

    assert caplog.messages == [
        "S1_REDIS_PASS_FILE: read again, because the file has changed",
    ]
    assert SECRET not in repr(file)


@given(text=st.text(min_size=1, max_size=40))
def test_any_text_is_one_printable_line_or_refused(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any-text"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    expected = text.removesuffix("\n").removesuffix("\r")
    if expected.strip() and expected.isprintable():
        assert read_secret(path) == expected
    else:
        with pytest.raises(InvalidValueError, match=f"^{path} "):
            read_secret(path)
