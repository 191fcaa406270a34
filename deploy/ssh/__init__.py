"""Commands on a host, over the one SSH connection that pyinfra has made; what they are made of."""
