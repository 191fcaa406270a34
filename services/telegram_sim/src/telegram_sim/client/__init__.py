"""For demos and tests in Python: the control API's client, the simulator as a process."""

from telegram_sim.client.answers import (
    BotOverview,
    Fault,
    Message,
    Overlap,
    Overview,
    PressAnswer,
    Pressed,
    Written,
    WrittenMany,
)
from telegram_sim.client.control import (
    NoAnswerError,
    SimAwayError,
    SimClient,
    SimError,
    SimRefusedError,
)
from telegram_sim.client.process import SimProcess

__all__ = [
    "BotOverview",
    "Fault",
    "Message",
    "NoAnswerError",
    "Overlap",
    "Overview",
    "PressAnswer",
    "Pressed",
    "SimAwayError",
    "SimClient",
    "SimError",
    "SimProcess",
    "SimRefusedError",
    "Written",
    "WrittenMany",
]
