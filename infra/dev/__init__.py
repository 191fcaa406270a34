"""Commands behind the Makefile: environment, locks, linters, test suites."""
