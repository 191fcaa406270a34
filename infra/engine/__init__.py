"""Docker where there is none: an engine, Compose, and the base images, on a Debian machine."""
