"""Programs of processes of their own, whose times or threads must not depend on what the parent has loaded."""
