"""Control requests about the simulator itself: how it stands, its clock, faults and limits."""

from typing import Any

from telegram_sim.control.fields import Fields, RequestError
from telegram_sim.control.overview import overview
from telegram_sim.control.readings import read_fault, read_limits
from telegram_sim.control.routes import Routes
from telegram_sim.world.simulator import Simulator


class MachineRequests:
    """Answers requests about the simulator itself."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def routes(self) -> Routes:
        """Return which request is answered by what."""
        return (
            ("GET", "/sim/overview", self.overview),
            ("POST", "/sim/clock", self.clock),
            ("GET", "/sim/faults", self.faults),
            ("POST", "/sim/faults", self.add_fault),
            ("DELETE", "/sim/faults", self.clear_faults),
            ("DELETE", "/sim/faults/{id}", self.remove_fault),
            ("GET", "/sim/limits", self.limits),
            ("PUT", "/sim/limits", self.set_limits),
        )

    async def overview(self, fields: Fields) -> Any:
        """Return how everything stands; where a bot is named, only that one."""
        simulator = self._simulator
        bots = [fields.bot(simulator)] if fields.name_a_bot() else list(simulator.bots.values())
        fields.finish()
        return overview(simulator, bots)

    async def clock(self, fields: Fields) -> Any:
        """Move the simulated time ahead."""
        seconds = fields.number("advance")
        fields.finish()
        if seconds < 0:
            raise RequestError("advance must not be negative: time does not go back")
        self._simulator.advance(seconds)
        clock = self._simulator.clock
        return {"now": clock.now(), "shift": clock.shift}

    async def faults(self, fields: Fields) -> Any:
        """Return the faults that are there."""
        fields.finish()
        return [fault.json() for fault in self._simulator.faults.all()]

    async def add_fault(self, fields: Fields) -> Any:
        """Add a fault."""
        fault = read_fault(fields, self._simulator.clock)
        fields.finish()
        return self._simulator.faults.add(fault).json()

    async def clear_faults(self, fields: Fields) -> Any:
        """Remove every fault."""
        fields.finish()
        return {"removed": self._simulator.faults.clear()}

    async def remove_fault(self, fields: Fields) -> Any:
        """Remove one fault."""
        fault_id = fields.integer("id")
        fields.finish()
        if not self._simulator.faults.remove(fault_id):
            raise RequestError(f"there is no fault {fault_id}", status=404)
        return {"removed": 1}

    async def limits(self, fields: Fields) -> Any:
        """Return how fast bots may send."""
        fields.finish()
        return self._simulator.limits.settings.json()

    async def set_limits(self, fields: Fields) -> Any:
        """Choose how fast bots may send; what is not named stays."""
        limits = read_limits(fields, self._simulator.limits.settings)
        fields.finish()
        self._simulator.limit(limits)
        return limits.json()
