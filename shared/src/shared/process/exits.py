"""What ends a process with one line and an exit code of sysexits.h instead of a traceback.

ProcessError              1
├── ListenError           69 (EX_UNAVAILABLE)   something else has the address
├── SetupError            78 (EX_CONFIG)        what the code registers cannot work
└── ConsumerStoppedError  1                     of `shared.streams`

SettingsError             78 (EX_CONFIG)        of `shared.settings`: no restart will mend it
"""

import os


class ProcessError(Exception):
    """The process cannot go on; its text is the reason, for the operator.

    Attributes:
        exit_code: what the process ends with.
        event: what the log line says.
    """

    exit_code = 1
    event = "the process cannot go on"


class ListenError(ProcessError):
    """An address to listen on is taken or not ours."""

    exit_code = os.EX_UNAVAILABLE
    event = "cannot start"


class SetupError(ProcessError):
    """What the code registers cannot work; no restart will mend it."""

    exit_code = os.EX_CONFIG
    event = "cannot start"
