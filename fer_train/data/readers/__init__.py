"""Read and validate the file formats of FER2013 into `Faces`."""
