"""The limit of open files, in a process of its own: a hard limit cannot be raised again."""

import subprocess
import sys

import pytest

_SCRIPT = """
import resource, sys
soft, hard = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
from chimera_s1.adapters.system.open_files import raise_open_files_limit
print(raise_open_files_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(("soft", "hard", "raised"), [(64, 512, 512), (512, 512, 512)])
def test_the_soft_limit_is_raised_to_the_hard_one(soft: int, hard: int, raised: int) -> None:
    command = [sys.executable, "-c", _SCRIPT, str(soft), str(hard)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert shown.split() == [str(raised), str(raised), str(hard)]
