"""Deploys that cannot hurt: releases, the cut-over on the host, and the commands of `make deploy`.

Three layers: what is to be done (`release`, `inventory`, `secrets` — pure), the commands that do it
(`commands` — argument lists), and execution (`remote`, and `agent`, which runs on the host).
"""
