"""Worker processes: observe and draw segments of recordings in any order, for a parent that puts them in order."""
