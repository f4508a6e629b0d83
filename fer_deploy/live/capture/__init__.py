"""Decoding, and reading cameras and streams in a process of their own, since a read that hangs can only be killed."""
