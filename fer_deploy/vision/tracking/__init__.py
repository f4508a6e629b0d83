"""Tracking: faces over time. Who is in the frame, by which number, and with which smoothed emotion."""
