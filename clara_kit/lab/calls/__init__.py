"""What models answered, kept by the hash of what they were asked."""
