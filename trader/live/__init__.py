"""A run that goes on where the last one ended: what of it is kept, how it is put back, and how a start is decided."""
