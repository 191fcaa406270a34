"""The production hosts; the name is what `make deploy host=…` takes."""

hosts = [
    ("production-1", {"ssh_hostname": "production.example.org"}),
]
