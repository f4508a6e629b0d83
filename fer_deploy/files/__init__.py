"""How files are read and written safely: whole or not at all, private, and YAML with the line of a fault."""
