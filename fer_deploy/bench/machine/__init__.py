"""The machine that is measured: processor and load, memory, energy, rates that bound every model."""
