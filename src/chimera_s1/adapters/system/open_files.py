"""How many files this process may open (RLIMIT_NOFILE of getrlimit(2))."""

import resource
from contextlib import suppress

OPEN_FILES_WANTED = 65_536


def raise_open_files_limit() -> int:
    """Raise the soft limit towards the hard one, and return the limit in force.

    Many shells and service managers set the soft limit to 1024 for programs that use select(2).
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = OPEN_FILES_WANTED if hard == resource.RLIM_INFINITY else hard
    wanted = min(allowed, OPEN_FILES_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # Some systems allow less than their hard limit says.
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return OPEN_FILES_WANTED if soft == resource.RLIM_INFINITY else soft
