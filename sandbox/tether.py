"""Runs commands of `pulse` for the demo, and ends them when the demo is gone, even by kill -9."""

import os
import signal
import sys
import threading

from pulse import main


def watch_parent() -> None:
    """Wait for the end of standard input, whose other end the demo holds, then ask this process to stop."""
    while os.read(0, 1):  # not sys.stdin, whose lock an ending interpreter asks for
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=watch_parent, daemon=True).start()
    # The demo says all that counts in the environment: a `.env` file may name a real server or database.
    sys.exit(next(filter(None, (main([command], env_file=None) for command in sys.argv[1:])), 0))
