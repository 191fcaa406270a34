"""What holds for the staging hosts."""

# Variables of services.yml that are no secrets.
settings = {"LOG_LEVEL": "DEBUG"}
