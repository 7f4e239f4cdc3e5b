"""What the scheduler knows, as columns: only the ones asked for, each made in one go."""
