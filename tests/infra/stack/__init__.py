"""The stack that tests of infra/ read; what a fork makes of the one at the root is its own."""

from pathlib import Path

STACK = Path(__file__).with_name("services.yml")
