"""`python -m db` is `pulse migrate`."""

import sys

from pulse import main

if __name__ == "__main__":
    sys.exit(main(["migrate", *sys.argv[1:]]))
