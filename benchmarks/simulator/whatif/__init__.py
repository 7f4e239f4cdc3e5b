"""What a change of the configuration would have done to the jobs that a site has recorded."""
