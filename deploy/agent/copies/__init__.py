"""The copies of the stores on three servers: whether they are whole, and who leads."""
