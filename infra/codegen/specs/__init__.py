"""What the specs say: each kind is read, checked and returned as plain data."""
