"""The client's own distribution: three requirements, and a package that works without ours."""

import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]
CLIENT = ROOT / "src" / "chimera_s1_client"


def test_the_client_is_a_wheel_of_its_own(tmp_path: Path) -> None:
    """Its modules are those of the checkout; it imports nothing of the service."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=CLIENT,
        check=True,
        capture_output=True,
    )
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        names = files.namelist()
        metadata = files.read(next(name for name in names if name.endswith("/METADATA")))
    required = {Requirement(each).name for each in requirements(metadata.decode())}
    modules = {f"chimera_s1_client/{path.name}" for path in CLIENT.glob("*.py")}

    assert required == {"httpx2", "msgspec", "redis"}
    assert {name for name in names if name.endswith(".py")} == modules
    assert "chimera_s1_client/py.typed" in names
    code = (
        f"import sys; sys.path.insert(0, {str(wheel)!r}); sys.modules['chimera_s1'] = None; "
        "import chimera_s1_client as c; print(c.__file__)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert shown.stdout.startswith(str(wheel))


def test_the_services_wheel_holds_the_client_without_its_project_file(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        names = files.namelist()
    modules = {f"chimera_s1_client/{path.name}" for path in CLIENT.glob("*.py")}

    assert modules <= set(names)
    assert [name for name in names if name.endswith(".toml")] == []


def test_both_distributions_have_the_same_ranges() -> None:
    service = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    client = tomllib.loads((CLIENT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert set(client["dependencies"]) <= set(service["dependencies"])
    assert client["version"] == service["version"]


def requirements(metadata: str) -> list[str]:
    return Parser().parsestr(metadata).get_all("Requires-Dist") or []
