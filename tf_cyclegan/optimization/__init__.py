"""What a training step is made of: optimizers, replicas, pools, precision, rematerialisation.

Uses models and the ground (settings, errors); knows no method, no data and no files.
"""
