"""A deploy and a rollback of one host, from the deployer's side."""

import base64
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deploy import backups, commands
from deploy.errors import DeployError, RemoteError, UnavailableError, UsageError
from deploy.heartbeat import locked
from deploy.inventory import Host, expanded
from deploy.release import checkout, images, vault
from deploy.release.bundle import archive
from deploy.release.release import Release, Sources, make_release
from deploy.release.sbom import bill_of_materials
from deploy.remote import Remote
from deploy.running import followed
from infra.stack import Plan

Say = Callable[[str], None]
COMPOSE = "infra/compose.prod.yml"
CONTENTS = checkout.ROOT / ".state/contents"
"""What each image holds, by its id: looked at once."""
FRESH_SECONDS = 5.0
"""What was seen of a host longer ago is looked at again: building takes its time."""


@dataclass(frozen=True)
class Prepared:
    """What every host of a deploy has in common."""

    plan: Plan
    sha: str
    compose: str
    declaration: str
    images: images.Images
    who: str


def prepare(who: str, say: Say, *, verbose: bool) -> Prepared:
    """Look at the checkout; nothing is built yet.

    Raises:
        DeployError: Nothing can be deployed from here, and why.
    """
    plan = checkout.load()
    sha = checkout.commit()
    root = checkout.ROOT
    built = images.Images(plan, root, say, verbose=verbose)
    compose = (root / COMPOSE).read_text(encoding="utf-8")
    declaration = (root / "services.yml").read_text(encoding="utf-8")
    return Prepared(plan, sha, compose, declaration, built, who)


def release_for(host: Host, prepared: Prepared, built: Mapping[str, str]) -> Release:
    """Return the release for one host.

    Raises:
        ConfigError: A secret or a setting is missing, or unknown.
    """
    texts, key = vault.complete(prepared.plan, host.environment)
    sources = Sources(
        plan=prepared.plan,
        compose=prepared.compose,
        declaration=prepared.declaration,
        sha=prepared.sha,
        images=built,
        settings=host.settings,
        secrets=texts,
        key=key,
        root=host.root,
        forgetful=checkout.with_module(prepared.plan, "forget"),
    )
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    return make_release(sources, now=now, who=prepared.who)


def deploy(host: Host, prepared: Prepared, say: Say, *, data: str, dry: bool) -> int:
    """Deploy to one host; return 0 where the release runs, 1 where it was rolled back.

    Args:
        host: Where.
        prepared: What every host has in common.
        say: Told what happens.
        data: A folder here with the backup that a new host starts with; empty for none.
        dry: Say what would be done; nothing is changed.

    Raises:
        DeployError: Nothing was changed, and why.
    """
    backup = check_here(host, prepared, data)
    with Remote(host) as remote:
        looked = time.monotonic()
        found = remote.status(prepared.plan.project, first=commands.preflight(host))
        check_there(host, found, new=bool(data), dry=dry)
        built = prepared.images.built()
        if time.monotonic() - looked > FRESH_SECONDS:
            found = remote.status(prepared.plan.project)
        release = release_for(host, prepared, built)
        if (
            found["content"] == release.content
            and not found["as_released"]
            and not found["unfinished"]
        ):
            say(f"nothing to do: {found['current']} runs just so")
            return 0
        missing = images.lacking(built, found["images"])
        images.check_space(missing, found["free_bytes"])
        if dry:
            tell_plan(release, found, missing, say)
            if backup:
                say(f"would start with the backup of {backup['at']}")
            return 0
        bill = bill_of_materials(prepared.plan.project, release.name, built, CONTENTS)
        with locked(remote, prepared.who, f"deploy of {release.name}") as renew:
            if missing:
                say(f"sending {', '.join(missing)}")
                images.send(remote, prepared.plan.project, missing, say)
            send_release(remote, release, bill)
            if data:
                backups.seed(remote, release.name, data, prepared.who, say)
            renew()  # the connection may have been away for longer than the lock lasts
            return cut_over(remote, release.name, prepared.who, say)


def check_here(host: Host, prepared: Prepared, data: str) -> dict[str, Any] | None:
    """Refuse what this machine alone shows to be wrong; return what the backup says, if any.

    Raises:
        DeployError: A secret, a setting, a program or the backup is not as it has to be.
    """
    unbuilt = dict.fromkeys(images.builds(prepared.plan), "")
    release_for(host, prepared, unbuilt)
    images.check_sendable()
    return backups.checked(expanded(data)) if data else None


def check_there(host: Host, found: Mapping[str, Any], *, new: bool, dry: bool) -> None:
    """Refuse what one look at the host shows to be wrong.

    Raises:
        DeployError: Somebody has locked it, it has no room at all, or it has data already.
    """
    if new and found["current"]:
        current = found["current"]
        raise UsageError(
            f"{host.name} runs {current} already: deploy without from=, then make restore"
        )
    if found["lock"] and not dry:
        told = f"locked by {found['lock']}; to take it away: make unlock"
        raise RemoteError(told, os.EX_TEMPFAIL)
    images.check_space({}, found["free_bytes"])


def tell_plan(
    release: Release, found: dict[str, object], missing: Mapping[str, str], say: Say
) -> None:
    """Say what a deploy would do."""
    same = found["content"] == release.content
    say(f"would release {release.name} in place of {found['current'] or 'nothing'}")
    say(f"would send the images of: {', '.join(missing) or 'nothing'}")
    say(f"the content is {'the same as now' if same else 'another than now'}")
    if found["unfinished"]:
        say(f"would first undo or finish {found['unfinished']}")


def send_release(remote: Remote, release: Release, bill: bytes) -> None:
    """Put a release, its bill of materials and its secrets on the host; nothing uses them yet."""
    sent = {
        name: {**one, "text": base64.b64encode(one["text"].encode()).decode()}
        for name, one in release.secrets.items()
    }
    files = {**release.files, "sbom.json": bill}
    # In this order: secrets that no release names are cleared away.
    remote.run(commands.receive_release(remote.host, release.name), archive(files))
    remote.agent("secrets", stdin=json.dumps(sent).encode())
    remote.agent("tag", release.name)
    remote.install_agent()


def cut_over(remote: Remote, name: str, who: str, say: Say) -> int:
    """Have the host change to a release, and follow it through lost connections.

    Raises:
        DeployError: It was refused, or the host does not come back, and goes on without us.
    """
    return followed(remote, ("--who", who, "begin", name), say)


def rollback(  # noqa: PLR0913 - the options of the verb
    host: Host, project: str, to: str, who: str, say: Say, *, dry: bool
) -> int:
    """Go back to a release that is kept; return 0 where it runs, 1 where that failed.

    Raises:
        DeployError: There is none, and nothing was changed.
    """
    with Remote(host) as remote:
        found = remote.status(project, first=commands.preflight(host))
        if found["unfinished"] and not dry:
            # How it ends decides which release is the previous one.
            with locked(remote, who, f"recovery of {found['unfinished']}"):
                remote.install_agent()
                if code := remote.agent_follow(("--who", who, "recover"), say):
                    return code
            found = remote.status(project)
        name = to or found["previous"]
        kept = [one["name"] for one in found["releases"]]
        if name is None:
            raise UnavailableError("there is no previous release to go back to; see make releases")
        if name not in kept:
            raise DeployError(
                f"no release is called {name!r}; kept are: {', '.join(kept) or 'none'}"
            )
        if name == found["current"] and not found["as_released"]:
            say(f"nothing to do: {name} runs")
            return 0
        if dry:
            say(f"would go back from {found['current']} to {name}; data stays as it is")
            return 0
        with locked(remote, who, f"rollback to {name}"):
            remote.install_agent()
            return cut_over(remote, name, who, say)
