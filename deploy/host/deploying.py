"""A release of one host, from the deployer's side.

What is to be done is a generator, as pyinfra's operations are: it looks, says what it sees, and
yields what changes something; nobody has to carry that out.
"""

import base64
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.errors import RemoteError, UnavailableError, UsageError
from deploy.host import backups
from deploy.host.heartbeat import locked
from deploy.host.running import followed
from deploy.inventory import Host, expanded
from deploy.outcome import Act
from deploy.release import checkout, images, vault
from deploy.release.membership import Membership
from deploy.release.membership import images as all_images
from deploy.release.release import Release, Sources, make_release
from deploy.ssh import commands
from deploy.ssh.bundle import archive
from deploy.ssh.link import Link, Say
from infra.stack import Plan

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


def release_for(
    host: Host,
    prepared: Prepared,
    built: Mapping[str, str],
    membership: Membership | None = None,
    now: str = "",
) -> Release:
    """Return the release for one host.

    Args:
        host: Whose.
        prepared: What every host has in common.
        built: The image of each service that has one of its own.
        membership: Which of several servers it is, where it is one of those.
        now: The moment in the release's name; by itself this one.

    Raises:
        ConfigError: A secret or a setting is missing, or unknown.
    """
    texts, key = vault.complete(prepared.plan, host.environment)
    sources = Sources(
        plan=prepared.plan,
        compose=prepared.compose,
        declaration=prepared.declaration,
        sha=prepared.sha,
        images=all_images(prepared.plan, built),
        settings=host.settings,
        secrets=texts,
        key=key,
        root=host.root,
        undoing=checkout.with_module(prepared.plan, "undo"),
        membership=membership,
    )
    return make_release(sources, now=now or moment(), who=prepared.who)


def moment() -> str:
    """Return what a release of this moment has in its name."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())


def release(link: Link, prepared: Prepared, data: str, say: Say, *, dry: bool) -> Iterator[Act]:
    """Release to one host; the exit code is 0 where the release runs, 1 where it was rolled back.

    Args:
        link: Where.
        prepared: What every host has in common.
        data: A folder here with the backup that a new host starts with; empty for none.
        say: Told what happens.
        dry: Say what would be done.

    Raises:
        DeployError: Nothing was changed, and why.
    """
    host = link.host
    backup = check_here(host, prepared, data)
    looked = time.monotonic()
    status = link.status(prepared.plan.project, first=commands.preflight(host))
    check_there(host, status, new=bool(data), dry=dry)
    built = prepared.images.built()
    if time.monotonic() - looked > FRESH_SECONDS:
        status = link.status(prepared.plan.project)
    new = release_for(host, prepared, built)
    settled = not status["as_released"] and not status["unfinished"]
    if status["content"] == new.content and settled:
        say(f"nothing to do: {status['current']} runs just so")
        return
    missing = images.lacking(built, status["images"])
    images.check_space(missing, status["free_bytes"])
    if dry:
        tell_plan(new, status, missing, say)
        if backup:
            say(f"would start with the backup of {backup['at']}")

    def send_and_cut_over() -> int:
        bill = bill_for(prepared, new, built)
        with locked(link, prepared.who, f"deploy of {new.name}") as renew:
            send(link, prepared, new, missing, bill, say)
            if data:
                backups.seed(link, new.name, data, prepared.who, say)
            renew()  # the connection may have been away for longer than the lock lasts
            return cut_over(link, new.name, prepared.who, say)

    yield send_and_cut_over


def bill_for(prepared: Prepared, new: Release, built: Mapping[str, str]) -> bytes:
    """Return a release's bill of materials."""
    # A deploy that changes nothing does without what this imports.
    from deploy.release.sbom import bill_of_materials  # noqa: PLC0415

    return bill_of_materials(prepared.plan.project, new.name, built, CONTENTS)


def send(  # noqa: PLR0913, PLR0917 - all that a host is sent
    link: Link,
    prepared: Prepared,
    new: Release,
    missing: Mapping[str, str],
    bill: bytes,
    say: Say,
) -> None:
    """Bring a release with the images that the host lacks there; nothing uses them yet."""
    if missing:
        say(f"sending {', '.join(missing)}")
        images.send(link, prepared.plan.project, missing, say)
    send_release(link, new, bill)


def check_here(
    host: Host, prepared: Prepared, data: str, membership: Membership | None = None
) -> dict[str, Any] | None:
    """Refuse what this machine alone shows to be wrong; return what the backup says, if any.

    Raises:
        DeployError: A secret, a setting, a program or the backup is not as it has to be.
    """
    unbuilt = dict.fromkeys(images.builds(prepared.plan), "")
    release_for(host, prepared, unbuilt, membership)
    images.check_sendable()
    return backups.checked(expanded(data)) if data else None


def check_there(host: Host, status: Mapping[str, Any], *, new: bool, dry: bool) -> None:
    """Refuse what one look at the host shows to be wrong.

    Raises:
        DeployError: Somebody has locked it, it has no room at all, it has data already, or its
            data is elsewhere.
    """
    if new and status["current"]:
        current = status["current"]
        raise UsageError(
            f"{host.name} runs {current} already: deploy without from=, then make restore"
        )
    if moving := status["moving"]:
        raise UnavailableError(
            f"the data of {host.name} is being moved: make deploy env={host.environment} "
            f"moving={moving['keeper']} undoes that, or goes on"
        )
    if moved := status["moved"]:
        raise UnavailableError(
            f"the data of {host.name} has moved to {moved}: take {host.name} out of "
            f"deploy/inventories/{host.environment}.py"
        )
    check_free(status, dry=dry)


def check_free(status: Mapping[str, Any], *, dry: bool) -> None:
    """Refuse a host that is locked, or has no room at all.

    Raises:
        DeployError: It is, or has none.
    """
    if status["lock"] and not dry:
        words = f"locked by {status['lock']}; to take it away: make unlock"
        raise RemoteError(words, os.EX_TEMPFAIL)
    images.check_space({}, status["free_bytes"])


def tell_plan(
    new: Release, status: Mapping[str, Any], missing: Mapping[str, str], say: Say
) -> None:
    """Say what a deploy would do."""
    same = status["content"] == new.content
    say(f"would release {new.name} in place of {status['current'] or 'nothing'}")
    say(f"would send the images of: {', '.join(missing) or 'nothing'}")
    say(f"the content is {'the same as now' if same else 'another than now'}")
    if status["unfinished"]:
        say(f"would first undo or finish {status['unfinished']}")


def send_release(link: Link, new: Release, bill: bytes) -> None:
    """Put a release, its bill of materials and its secrets on the host; nothing uses them yet."""
    sent = {
        name: {**secret, "text": base64.b64encode(secret["text"].encode()).decode()}
        for name, secret in new.secrets.items()
    }
    files = {**new.files, "sbom.json": bill}
    # In this order: secrets that no release names are cleared away.
    link.run(commands.receive_release(link.host, new.name), archive(files))
    link.agent("secrets", stdin=json.dumps(sent).encode())
    link.agent("tag", new.name)
    link.install_agent()


def cut_over(link: Link, name: str, who: str, say: Say) -> int:
    """Have the host change to a release, and follow it through lost connections.

    Raises:
        DeployError: It was refused, or the host does not come back, and goes on without us.
    """
    return followed(link, ("--who", who, "begin", name), say)
