"""`packhorse bench openb`: the published openb packing experiment, run on the scheduler's own core."""
