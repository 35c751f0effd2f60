"""Runs the command line."""

import signal
import sys

from localcluster.cli import main

if __name__ == "__main__":
    # A service manager's or CI's way to interrupt gets the same clean-up as Ctrl-C.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    sys.exit(main())
