"""Shadow mode: another configuration decides on the live state, and starts nothing."""
