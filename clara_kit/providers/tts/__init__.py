"""Text to speech: what an avatar that takes only sound needs."""
