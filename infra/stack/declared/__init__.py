"""What services.yml says: how it is read, what is wrong with it, and what may be written in it."""
