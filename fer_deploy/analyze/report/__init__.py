"""Report of an analyzed video: summary, timeline and HTML page."""
