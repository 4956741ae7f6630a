"""Only operators write `kill_switch`: the port cannot, and no code names the key but its reader."""

import ast
import inspect
from pathlib import Path

import chimera_s1
from chimera_s1.adapters.redis import kill_switch as reader
from chimera_s1.adapters.redis.keys import KILL_SWITCH_KEY
from chimera_s1.domain.ports.kill_switch import KillSwitch

SOURCES = Path(next(iter(chimera_s1.__path__)))
MAY_NAME_THE_KEY = {"adapters/redis/keys.py", "adapters/redis/kill_switch.py"}
ERROR_CODE_AND_COMPONENT = {
    "app/capabilities/operations/wiring.py",
    "domain/operations/trading_gate.py",
}


def test_the_port_only_reads() -> None:
    methods = [name for name, _ in inspect.getmembers(KillSwitch, inspect.isfunction)]
    assert [name for name in methods if not name.startswith("_")] == ["read"]


def test_no_other_code_names_the_key() -> None:
    naming: set[str] = set()
    for path in SOURCES.rglob("*.py"):
        if "kill" not in (text := path.read_text()).lower():
            continue
        nodes = list(ast.walk(ast.parse(text)))
        constants = {each.value for each in nodes if isinstance(each, ast.Constant)}
        names = {each.id for each in nodes if isinstance(each, ast.Name)}
        if KILL_SWITCH_KEY in constants or "KILL_SWITCH_KEY" in names:
            naming.add(str(path.relative_to(SOURCES)))

    assert naming == MAY_NAME_THE_KEY | ERROR_CODE_AND_COMPONENT


def test_its_reader_sends_get_and_nothing_else() -> None:
    tree = ast.parse(inspect.getsource(reader))
    commands = [
        ast.unparse(each.args[0])
        for each in ast.walk(tree)
        if isinstance(each, ast.Call) and ast.unparse(each.func).endswith("execute_command")
    ]
    calls = {
        each.func.attr
        for each in ast.walk(tree)
        if isinstance(each, ast.Call)
        and isinstance(each.func, ast.Attribute)
        and ast.unparse(each.func.value) == "self._client"
    }
    assert commands == ["'GET'"]
    assert calls == {"execute_command", "translate_errors"}
