"""`python -m greffier_pull`."""

import sys

from greffier_pull.program import main

if __name__ == "__main__":
    sys.exit(main())
