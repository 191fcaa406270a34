"""Secret files on the host: named after their content, readable by one user, 0400 from birth."""

import base64
from pathlib import Path

from deploy.agent.host.layout import Json, Layout, write_durably

MODE = 0o400


def store(layout: Layout, sent: Json) -> list[str]:
    """Write the secrets that are not here; return their names.

    Args:
        layout: The host's folders.
        sent: By file name: `text` in base64, and the `uid` and `gid` that may read it.
    """
    layout.prepare()
    layout.secrets.chmod(0o700)
    written = []
    for name, secret in sent.items():
        path = layout.secrets / Path(name).name
        if not path.exists():
            owner = (int(secret["uid"]), int(secret["gid"]))
            write_durably(path, base64.b64decode(secret["text"]), MODE, owner)
            written.append(path.name)
    return written
