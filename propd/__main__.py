"""`python -m propd`."""

import sys

from propd.cli import main

if __name__ == "__main__":
    sys.exit(main())
