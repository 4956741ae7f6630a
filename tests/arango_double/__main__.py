"""
The double as a process: prints one line of JSON when it is ready, and runs until it is killed.
"""

import argparse
import sys

import anyio
import orjson

from tests.arango_double.cluster import Cluster


async def serve(coordinators: int, port: int) -> None:
    """
    Run a double for ever.
    """
    cluster = Cluster(coordinators, port)
    async with cluster.listening():
        ready = {"urls": cluster.urls, "control_url": cluster.control_url}
        sys.stdout.write(orjson.dumps(ready).decode() + "\n")
        sys.stdout.flush()
        await anyio.sleep_forever()


def main() -> None:
    """
    Read the command line.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.arango_double")
    parser.add_argument("--port", type=int, default=0, help="of the first coordinator; 0: any")
    parser.add_argument("--coordinators", type=int, default=1)
    options = parser.parse_args()
    try:
        anyio.run(serve, options.coordinators, options.port)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
