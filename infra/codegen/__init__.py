"""Specs to code: models.yaml, events.yaml and the services' OpenAPI files to typed Python.

The steps are pure and run in this order: `documents` reads YAML and remembers where everything
stands, `models`, `events` and `operations` check one kind of spec each and return plain data,
`render` makes source text of it, `files` compares that with the tree and writes it. `generation`
says which spec makes which file.

`breaking` compares the events with those at a git revision: `revisions` reads the old files,
`schemas` follows references, `compatibility` and `demands` decide what readers would notice.
"""
