"""``python -m brtel_notify``."""

import sys

from brtel_notify.cli import main

sys.exit(main())
