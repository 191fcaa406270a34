"""What holds for the production hosts."""

# Variables of services.yml that are no secrets.
settings = {"LOG_LEVEL": "INFO"}
