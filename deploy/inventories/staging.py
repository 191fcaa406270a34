"""The staging hosts; the name is what `make deploy host=…` takes."""

hosts = [
    ("staging", {"ssh_hostname": "staging.example.org"}),
]
