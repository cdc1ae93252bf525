"""`python -m sandbox` is `pulse demo`."""

import sys

from pulse import main

if __name__ == "__main__":
    sys.exit(main(["demo", *sys.argv[1:]]))
