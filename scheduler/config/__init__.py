"""What a file of configuration may say, what it says, and the pages that are made from that."""
