"""Memory that running jobs asked for and do not use: how much that is, and who may have it meanwhile."""
