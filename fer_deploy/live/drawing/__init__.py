"""Drawing: boxes, tags and charts in the colors of the emotions."""
