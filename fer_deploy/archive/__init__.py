"""Analyze thousands of videos on many machines that share nothing but the address of the output."""
