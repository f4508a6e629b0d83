"""What zipfile and NumPy raise for an .npz or .zip that is truncated, damaged or another kind of file."""

import tokenize
import zipfile
import zlib
from typing import Final

try:
    from lzma import LZMAError

    _OF_LZMA: tuple[type[Exception], ...] = (LZMAError,)
except ImportError:  # a Python that was built without it, whose zipfile refuses such an entry
    _OF_LZMA = ()

ZIP_FAULTS: Final[tuple[type[Exception], ...]] = (
    zipfile.BadZipFile,
    zlib.error,
    *_OF_LZMA,
    tokenize.TokenError,
    OSError,
    EOFError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""LZMAError: damage may turn the method of an entry into LZMA. RuntimeError: an entry that says it is encrypted.
NotImplementedError: one of an unknown method or version.
"""
