"""`python -m bot` is `pulse bot`."""

import sys

from pulse import main

if __name__ == "__main__":
    sys.exit(main(["bot", *sys.argv[1:]]))
