"""Release: the file that others use, its measures and its model card."""
