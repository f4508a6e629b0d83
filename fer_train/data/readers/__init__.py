"""Readers: files as users have them, checked before they are believed, into `Faces`."""
