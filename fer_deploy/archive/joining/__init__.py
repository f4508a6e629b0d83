"""Tables from the observations of all segments, and counts that verify them."""
