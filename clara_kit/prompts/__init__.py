"""What Clara is told: templates, the catalogue, recommendations; and what she knows of a customer, as text. Pure."""
