"""Specs to code: models.yaml, events.yaml and the services' OpenAPI files to typed Python.

`specs` checks one kind of spec each and returns plain data, `render` makes source text of it,
`generation` says which spec makes which file. `breaking` compares the events with those at a git
revision.
"""
