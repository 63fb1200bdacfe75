"""The avatar that speaks Clara's words."""
