"""The production hosts; the name is what `make deploy host=…` takes."""

hosts = [
    ("production", {"ssh_hostname": "production.example.org"}),
]
