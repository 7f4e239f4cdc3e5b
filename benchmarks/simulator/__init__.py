"""The simulator: traces and recorded inputs driven through the same core as the daemon."""
