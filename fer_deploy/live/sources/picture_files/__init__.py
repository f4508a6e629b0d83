"""Files of one picture: formats that OpenCV does not read, tiles of HEIC, and what a JPEG says of itself."""
