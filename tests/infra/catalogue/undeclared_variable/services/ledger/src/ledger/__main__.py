"""It has no settings, and asks the environment."""

import os

FILE = os.environ["LEDGER_FILE"], os.environ.get("PATH")
