"""What is sent: a checkout, its images, its secrets, and the release that is made of them."""
