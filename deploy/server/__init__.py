"""What `provision` leaves on a server, as pure text."""
