"""On the path of a driver whose clock is to be wrong: every look at it is CHAOS_CLOCK_S off."""

import os
import time

_SHIFT = float(os.environ.get("CHAOS_CLOCK_S", "0"))
_time = time.time
time.time = lambda: _time() + _SHIFT
