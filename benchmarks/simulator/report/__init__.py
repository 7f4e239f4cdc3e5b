"""One page with tables and plots of several policies, complete in itself, and the plots as pictures."""
