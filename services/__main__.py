"""`python -m services` is `pulse worker`."""

import sys

from pulse import main

if __name__ == "__main__":
    sys.exit(main(["worker", *sys.argv[1:]]))
