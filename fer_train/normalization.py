"""Normalization of pixels: the mean and the standard deviation for training every model."""

PIXEL_MEAN = 129.25
PIXEL_STD = 65.05
"""Mean and standard deviation of the pixels (0 to 255) of FER2013's leak-free Training rows, measured on them."""
