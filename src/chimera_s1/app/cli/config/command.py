"""`chimera-s1 config`: show the settings in force."""

import os

from chimera_s1.app.cli.shared.options import JsonArrayOption


def config(as_json: JsonArrayOption = False) -> None:
    """Show every setting in force and where it came from; secrets are shown as ***.

    Settings are environment variables S1_*. In a terminal they are grouped, and
    what is not a default is green; elsewhere each is one line. If some are wrong
    or unknown, all of them are listed with the rule and an example, and the
    exit code is 2.
    """
    from chimera_s1.app.cli.config.run import print_settings  # noqa: PLC0415 (help is quick)

    print_settings(os.environ, as_json=as_json)
