"""What tests of jobs read."""

import numpy as np

QUAD = np.array([[1, 2], [51, 2], [51, 12], [1, 12]], np.float32)
