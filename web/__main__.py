"""`python -m web` is `pulse web`."""

import sys

from pulse import main

if __name__ == "__main__":
    sys.exit(main(["web", *sys.argv[1:]]))
