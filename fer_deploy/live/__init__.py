"""The threaded loop: capture, infer and sinks, joined by buffers."""

# PyAV and OpenCV bring libraries of one name: where PyAV is loaded first, OpenCV's first window hangs for ever.
# https://github.com/PyAV-Org/PyAV/issues/1050
import cv2 as cv2
