"""The commands of `make deploy`; `python -m deploy help` lists them."""

import sys

from deploy.make.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
