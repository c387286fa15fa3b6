"""Whatever people have, to batches: sources, decoding, streams, augmentation, the embedded sets.

Uses the ground alone.
"""
