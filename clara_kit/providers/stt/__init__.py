"""Speech to text: the customer's sound in, transcript events out."""
