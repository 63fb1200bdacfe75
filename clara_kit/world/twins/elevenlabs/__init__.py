"""The twin of ElevenLabs, the other voice."""
