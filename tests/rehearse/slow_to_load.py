"""A module that takes long to load."""

import time

time.sleep(120)
