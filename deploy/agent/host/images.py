"""Images under a name of ours, so that clearing away what nobody named leaves them alone."""

from deploy.agent.host import docker


def tags(project: str) -> list[tuple[str, str]]:
    """Return name and id of every image that was tagged as ours."""
    form = ("--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}")
    listing = docker.run("docker", "images", *form, "--filter", f"reference={project}/*")
    pairs = (line.split() for line in listing.splitlines())
    return [(tag, image) for tag, image in pairs if not tag.endswith(":<none>")]


def built(project: str) -> list[str]:
    """Return the ids of the images that were built for releases, named or not."""
    label = f"label={docker.PROJECT_LABEL}={builder(project)}"
    return docker.run("docker", "images", "-q", "--no-trunc", "--filter", label).split()


def builder(project: str) -> str:
    """Return the Compose project that builds the images of releases; Compose labels them so."""
    return f"{project}-release"


def tag(project: str, service: str, image: str) -> None:
    """Name an image as ours, so that clearing away what nobody named leaves it alone."""
    docker.run("docker", "tag", image, own_tag(project, service, image))


def own_tag(project: str, service: str, image: str) -> str:
    """Return the name that we give to an image."""
    return f"{project}/{service}:{image.removeprefix('sha256:')[:12]}"
