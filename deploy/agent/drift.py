"""What is on the host against what the current release says should be."""

from collections.abc import Iterator

from deploy.agent.host import docker
from deploy.agent.host.errors import AgentError
from deploy.agent.host.images import own_tag, tags
from deploy.agent.host.layout import Layout
from deploy.agent.host.release import Release, missing_images, missing_secrets


def differences(layout: Layout) -> Iterator[str]:
    """Yield one line for each difference."""
    folder = layout.linked("current")
    if folder is None:
        yield "no release is current; deploy one"
        return
    try:
        release = Release.load(folder)
    except AgentError as error:
        yield str(error)
        return
    if layout.journal.exists():
        yield "a cut-over is unfinished; the next deploy undoes or finishes it"
    yield from (f"{name}: its image is gone" for name in missing_images(release))
    yield from (f"secret {name}: its file is gone" for name in missing_secrets(release, layout))
    yield from retagged(release)
    there = docker.containers(release.project)
    wanted = release.stack.hashes()
    for name, service in release.services.items():
        containers = [container for container in there if container.service == name]
        if len(containers) != service["replicas"]:
            yield f"{name}: {len(containers)} containers, {service['replicas']} are wanted"
        for container in containers:
            yield from (
                f"{name}: {what}" for what in of_container(container, wanted[name], service)
            )
    for container in there:
        if container.service not in release.services:
            yield f"{container.name}: the release has no such service"


def retagged(release: Release) -> Iterator[str]:
    """Yield one line for each image whose name of ours belongs to another one, or to none."""
    there = dict(tags(release.project))
    for name, service in release.services.items():
        tag = own_tag(release.project, name, service["image"])
        if tag not in there:
            yield f"{name}: {tag} is gone"
        elif there[tag] != service["image"]:
            yield f"{name}: {tag} is another image"


def of_container(
    container: docker.Container, wanted: str, service: dict[str, object]
) -> Iterator[str]:
    """Yield what is different about one container."""
    if not container.running:
        yield f"{container.name} is {container.status}"
    elif container.health == "unhealthy":
        yield f"{container.name} is unhealthy"
    if container.image != service["image"]:
        yield f"{container.name} runs another image"
    if container.config_hash != wanted:
        yield f"{container.name} has another configuration"
