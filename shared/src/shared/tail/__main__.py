"""`python -m shared.tail`: what `shared.tail.command` does, ended at any time by Ctrl-C."""

import signal


def main() -> int:
    """Follow the streams; return an exit code."""
    try:
        # It takes half a second to import, and an interrupt in it is no error either.
        from shared.tail import command  # noqa: PLC0415

        command.main()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
