"""`python -m accord.cli`: the same as `accord`."""

import sys

from accord.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
