"""`python -m clara_kit` is the `clara` command."""

import sys

from clara_kit.cli import main

sys.exit(main())
