"""Ask the page of `fer-deploy live` for its health: exit code 0 if it delivers results, 1 if not.

The port is that of FER_LIVE_SERVE. Without a page nothing can be asked, and the exit code is 0.
"""

import os
import sys
import urllib.error
import urllib.request

TIMEOUT_S = 4.0


def health(address: str) -> str:
    """Return "" if the page at [HOST:]PORT answers that the run is well, else what is wrong."""
    url = f"http://127.0.0.1:{address.rpartition(':')[2]}/healthz"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S):
            return ""
    except urllib.error.HTTPError as err:
        return f"{err.code} {err.read(100).decode(errors='replace').strip()}"
    except OSError as err:
        return str(err)


if __name__ == "__main__":
    served = os.environ.get("FER_LIVE_SERVE", "")
    sys.exit((health(served) if served else "") or 0)
