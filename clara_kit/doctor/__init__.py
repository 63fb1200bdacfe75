"""What works on this machine, and what to do for the rest: `clara doctor`. `checkup.py` is the door."""
