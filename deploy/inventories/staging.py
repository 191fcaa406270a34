"""The staging hosts; the name is what `make deploy host=…` takes."""

hosts = [
    ("staging-1", {"ssh_hostname": "staging.example.org"}),
]
