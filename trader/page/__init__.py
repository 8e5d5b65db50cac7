"""The report of an evaluation as a page, a trade list and pictures: rendering only, no figure is computed anew."""
