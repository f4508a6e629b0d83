"""What `fer-deploy demo` needs beside the live loop: a clip with people and a detector, and a score for drawn faces."""
