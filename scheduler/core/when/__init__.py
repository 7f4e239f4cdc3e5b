"""When waiting jobs will start: estimates, what became of them, and what follows for the next."""
