"""Name, merge and drop the people of a finished analysis."""
