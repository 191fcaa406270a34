"""Specs to code: models.yaml, events.yaml and the backend's OpenAPI files to typed Python.

The steps are pure and run in this order: `documents` reads YAML and remembers where everything
stands, `models`, `events` and `operations` check one kind of spec each and return plain data,
`render` makes source text of it, `files` compares that with the tree and writes it.
"""
