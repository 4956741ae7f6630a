"""A forked program is like one that the interpreter has started, with the modules loaded."""

import os
import signal
from pathlib import Path
from subprocess import PIPE

import anyio
import pytest

from tests.forked_process import ForkedProcess, fork_python
from tests.time_limits import TIMEOUT_S


async def run(script: Path, text: str, *arguments: str, **environ: str) -> tuple[int, str, str]:
    """Run *text* as a program to its end: exit code, standard output, standard error."""
    script.write_text(text)  # noqa: ASYNC240 (at once)
    async with await fork_python([str(script), *arguments], environ) as process:
        outputs = [await read_all(process, name) for name in ("stdout", "stderr")]
        return await process.wait(), outputs[0], outputs[1]


async def read_all(process: ForkedProcess, name: str) -> str:
    return b"".join([part async for part in getattr(process, name)]).decode()


async def test_it_has_its_own_arguments_environment_and_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "import os, sys; print(__name__, sys.argv[1:], dict(os.environ), os.getcwd())"
    ended = await run(tmp_path / "program.py", text, "a", "b", S1_X="1")
    assert ended == (0, f"__main__ ['a', 'b'] {{'S1_X': '1'}} {tmp_path}\n", "")


async def test_it_has_the_modules_of_the_program_and_one_thread(tmp_path: Path) -> None:
    text = (
        "import sys, threading\n"
        "print('chimera_s1.app.runtime' in sys.modules, threading.active_count())\n"
        "print('pytest' in sys.modules, repr(sys.stdin.read()))\n"
    )
    assert (await run(tmp_path / "program.py", text))[1] == "True 1\nFalse ''\n"


@pytest.mark.parametrize(
    ("text", "code", "error"),
    [
        ("raise SystemExit(3)", 3, ""),
        ("raise SystemExit", 0, ""),
        ("raise RuntimeError('broken')", 1, "RuntimeError: broken\n"),
        ("import os; os._exit(70)", 70, ""),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL, ""),
    ],
)
async def test_its_exit_code_is_known(tmp_path: Path, text: str, code: int, error: str) -> None:
    ended, out, err = await run(tmp_path / "program.py", text)
    assert (ended, out) == (code, "")
    assert err.endswith(error)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_a_signal_reaches_it(tmp_path: Path, number: signal.Signals) -> None:
    """It has the interpreter's own handlers, and dies of none that is blocked."""
    script = tmp_path / "program.py"
    script.write_text("import signal\nprint('up', end='', flush=True)\nsignal.pause()\n")
    async with await fork_python([str(script)], os.environ, stderr=PIPE) as process:
        assert process.stdout is not None
        assert await process.stdout.receive() == b"up"
        process.send_signal(number)
        with anyio.fail_after(TIMEOUT_S):
            code = await process.wait()
        with pytest.raises(ProcessLookupError):
            process.kill()
    assert code == (1 if number == signal.SIGINT else -number)
