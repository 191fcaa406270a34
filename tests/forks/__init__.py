"""What becomes of a clone: forks in folders of their own."""
