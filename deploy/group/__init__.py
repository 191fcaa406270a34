"""Three servers that share their stores: deployed to as one, and never two of them at once."""
