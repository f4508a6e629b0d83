"""How files are read and written safely: whole or not at all, and YAML with the line of a fault."""
