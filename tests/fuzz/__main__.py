"""`python -m tests.fuzz`, see `run`."""

import sys

from .run import main

sys.exit(main())
