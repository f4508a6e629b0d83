"""Threads of the live loop: workers, the buffers between them, and how failures reach the caller."""
