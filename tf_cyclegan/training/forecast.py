"""How long a run will take, where that is long, and what would be faster."""

import dataclasses

from ..settings import RunSettings

LONG_SECONDS = 3600
# What the time of a step becomes on a CPU, by one rough measurement on one core: 24.2 s at 256 pixels,
# 9.25 s at 128, there 2.96 s with the U-Net and 2.34 s with 32 filters. To measure it again:
# python -m benchmarks.train_step --cases photos_256 photos_128 photos_128_unet photos_128_narrow
SHARES = (
    ("image_size", 256, 128, 0.4),
    ("filters", 64, 32, 0.25),
    ("generator", "resnet9", "unet", 0.33),
)


def forecast(config: RunSettings, seconds_left: float) -> str:
    """A sentence for who trains without a GPU; "" where it does not take long.

    Args:
        config: The settings of the run.
        seconds_left: What the rest of it takes at the speed of its first steps.
    """
    if seconds_left < LONG_SECONDS:
        return ""
    values = dataclasses.asdict(config)
    faster = [
        f"--{name.replace('_', '-')} {less} (about {share:.0%} of the time)"
        for name, value, less, share in SHARES
        if values.get(name) == value
    ]
    return (
        f"this takes about {in_words(seconds_left)} more on the processor alone; faster would be "
        + ", ".join([*faster, "fewer --steps, or a GPU"])
    )


def in_words(seconds: float) -> str:
    """A long time in words: "3 hours", "2 days"."""
    hours = seconds / 3600
    return f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} hours"
