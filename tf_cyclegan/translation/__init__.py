"""A trained generator at work: uint8 doors, files, films, other formats.

Uses training (for runs), methods, torch_weights, data and the ground.
"""
