"""Loopback servers that speak the vendors' own protocols. They never import the kit's providers."""
