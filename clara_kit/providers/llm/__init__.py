"""The model that writes Clara's replies."""
