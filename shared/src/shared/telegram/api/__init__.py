"""The Bot API: requests, what of its answers can be used, its updates as objects."""
