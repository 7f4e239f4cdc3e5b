"""What a run of a policy came to: each metric a pure function that says its formula."""
