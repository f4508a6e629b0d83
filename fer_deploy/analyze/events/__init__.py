"""Events of a video, such as stimuli: what each person showed during them, computed from finished results."""
