"""`make demo`, as its user sees it."""
