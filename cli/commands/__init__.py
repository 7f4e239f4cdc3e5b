"""The `packhorse` commands, one module each."""
