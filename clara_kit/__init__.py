"""Clara kit: where the conversation of a video avatar is designed, measured and heard."""
