"""Archives on a Ray cluster. Ray places workers on nodes; the files in the output alone decide what is finished."""
