"""Does a conversation survive what its services do to it: a checker, a matrix of faults, chance, and a month of it."""
