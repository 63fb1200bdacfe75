"""What a conversation is worth: checks by rule, a judge, people's ratings, and what the conversation itself shows."""
