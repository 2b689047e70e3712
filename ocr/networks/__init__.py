"""The networks as torch modules, one architecture a file.

Each takes float32 RGB planes, (n, 3, height, width), 0 to 255, and normalises them itself.
"""
