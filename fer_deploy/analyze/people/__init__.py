"""People of a finished analysis: pictures of them, and their names; they can be merged and dropped."""
