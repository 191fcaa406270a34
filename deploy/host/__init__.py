"""One host, from the deployer's side: releases, backups, locks, a bare server made ready."""
