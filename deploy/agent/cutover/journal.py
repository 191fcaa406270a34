"""The cut-over's memory: what is being changed, written down before it is changed.

begun      nothing has changed yet, or something has: undo
committed  the new release is proven: finish
(no file)  nothing is under way
"""

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from deploy.agent.host.errors import AgentError
from deploy.agent.host.layout import PROGRAM, read_json, remove_durably, write_json


@dataclass
class Switch:
    """One service on its way from old containers to a new one.

    Attributes:
        service: Its name.
        handover: `replace`: the old one stops before the new one starts; `overlap`: after it is
            healthy.
        replicas: How many new containers there are to be.
        old: The containers that were there before; whatever else the service has is new.
        running: Which of the old ones ran.
        restart: Their restart policy, which a container that must not come back by itself loses.
        data: Whether it is a data store.
    """

    service: str
    handover: str
    replicas: int = 1
    old: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    restart: str = "always"
    data: bool = False


@dataclass
class Journal:
    """One cut-over.

    Attributes:
        project: The Compose project.
        release: The release that is to run.
        before: The release that ran; empty the first time.
        phase: `begun` or `committed`.
        step: What was being done last, for people.
        who: Who deploys.
        smoke: The id of the smoke test's event, while traces of it may be left; else empty.
        letters: By stream, the youngest dead letter there was; None where that is not known.
        switches: The services that change, in the order in which they do.
    """

    project: str
    release: str
    before: str
    who: str
    phase: str = "begun"
    step: str = ""
    smoke: str = ""
    letters: dict[str, str] | None = None
    switches: list[Switch] = field(default_factory=list)

    def backwards(self) -> tuple[list[Switch], list[Switch]]:
        """Return the services in the order in which they are put back: data stores, then the rest.

        Nothing is healthy without its store. Of the rest, what was stopped for its successor comes
        first; then comes the latest change first.
        """
        stores = [switch for switch in self.switches if switch.data]
        others = [switch for switch in reversed(self.switches) if not switch.data]
        return stores, sorted(others, key=lambda switch: switch.handover != "replace")

    def save(self, path: Path) -> None:
        """Write it down, durably."""
        write_json(path, asdict(self))

    @staticmethod
    def load(path: Path) -> "Journal | None":
        """Return the unfinished cut-over; None where there is none.

        Raises:
            AgentError: The file is damaged, or a newer agent's, which is told how to be called.
        """
        raw = read_json(path)
        if raw is None:
            return None
        try:
            switches = [Switch(**switch) for switch in raw.pop("switches")]
            return Journal(**raw, switches=switches)
        except (KeyError, TypeError):
            root = path.parents[1]
            raise AgentError(
                f"{path} is another version's, whose agent is still there; "
                f"run on the server: python3 {root / PROGRAM} --root {root} recover",
                os.EX_DATAERR,
            ) from None

    @staticmethod
    def close(path: Path) -> None:
        """Note that nothing is under way any more."""
        remove_durably(path)
