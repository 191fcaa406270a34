"""What the data stores hold: backed up, and put back."""
