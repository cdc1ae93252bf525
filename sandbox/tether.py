"""Runs `pulse run` for the demo, and ends it when the demo is gone, even by kill -9."""

import os
import signal
import sys
import threading

from pulse import main


def watch_parent() -> None:
    """Wait for the end of standard input, whose other end the demo holds, then ask this process to stop."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=watch_parent, daemon=True).start()
    sys.exit(main(["run"]))
