"""What the attempts of a node use: memory, processor time, disk, GPUs. docs/usage.md says what is measured
how.
"""
