"""What zipfile and NumPy raise for an .npz or .zip that is truncated, damaged or another kind of file."""

import tokenize
import zipfile
import zlib
from typing import Final

ZIP_FAULTS: Final = (
    zipfile.BadZipFile,
    zlib.error,
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
"""RuntimeError: an entry that says it is encrypted. NotImplementedError: one of an unknown method or version."""
