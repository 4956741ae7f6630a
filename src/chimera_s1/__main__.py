"""`chimera-s1`, also as `python -m chimera_s1`."""

import sys

from chimera_s1.app.cli.application import run_command


def main() -> None:
    """Run the command line and leave the process with its exit code."""
    sys.exit(run_command(sys.argv[1:]))


if __name__ == "__main__":
    main()
