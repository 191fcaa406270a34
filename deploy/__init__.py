"""Deploys that cannot hurt, as pyinfra recipes: releases, the cut-over on the host, `make deploy`.

recipes/                   what pyinfra runs, one file a verb; make/ runs the same for `make`
operations, facts          what a recipe is made of; `outcome` says how each host fares
work/                      what an operation looks at, says and does
release/                   what is sent: a checkout, its images and secrets, the release of them
ssh/                       commands on a host, over pyinfra's connection
agent/                     runs on the host; server/ is what provision writes there
errors, inventory          what goes wrong, and which hosts there are
"""
