"""`python -m greffier_desk`: the command `greffier-desk`."""

import sys

from greffier_desk.program import main

if __name__ == "__main__":
    sys.exit(main())
