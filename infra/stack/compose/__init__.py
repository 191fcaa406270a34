"""What Compose gets: the plan as containers, networks, secrets and rights at Redis."""
