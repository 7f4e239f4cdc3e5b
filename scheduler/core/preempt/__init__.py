"""Who makes room for whom, by QOS and partition tier, and what accounts take back of what they lent."""
