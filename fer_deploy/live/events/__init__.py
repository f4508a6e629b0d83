"""Events that a person or a program notes while the loop runs, in a file that `fer-deploy analyze --events` reads."""
