"""Continue reading a recording in its middle: positions, an index of its packets, and proof that nothing is lost."""
