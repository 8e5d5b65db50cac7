"""Honest evaluation: the runs of the engine, the random band and the record that a page is made of. No torch here."""
