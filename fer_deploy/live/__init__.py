"""Live loop: threads for capture, analysis and sinks, joined by buffers."""

# PyAV and OpenCV ship libraries of the same name: if PyAV is loaded first, OpenCV's first window hangs forever.
# https://github.com/PyAV-Org/PyAV/issues/1050
import cv2 as cv2
