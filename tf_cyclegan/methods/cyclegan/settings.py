"""CycleGAN's settings and presets."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from ...errors import UserError
from ...settings import setting
from ..network_settings import NetworkSettings


@dataclass(frozen=True)
class Config(NetworkSettings):
    """Every setting of a run of CycleGAN; the defaults are those of the `tutorial` preset.

    Raises:
        UserError: A setting, or two together, cannot work.
    """

    method: ClassVar[str] = "cyclegan"

    init_generator_g: str | None = setting(
        None, "networks", "start G from a PyTorch checkpoint or what convert made of one"
    )
    init_generator_f: str | None = setting(
        None, "networks", "start F from a PyTorch checkpoint or what convert made of one"
    )

    adversarial_loss: Literal["bce", "lsgan"] = setting(
        "bce", "objective", "cross-entropy, or least squares as in the paper"
    )
    lambda_adversarial: float = setting(
        1.0, "objective", "weight of the adversarial loss; 0 trains no discriminators", lowest=0
    )
    lambda_cycle: float = setting(
        10.0, "objective", "weight of the cycle consistency loss", lowest=0
    )
    cycle_terms: Literal["both", "forward", "backward"] = setting(
        "both", "objective", "forward is F(G(x)) = x, backward is G(F(y)) = y"
    )
    lambda_identity: float = setting(
        0.5,
        "objective",
        "weight of the identity loss, as a factor of lambda-cycle; 0 is off",
        lowest=0,
    )
    pool_size: int = setting(
        0,
        "objective",
        "past generated images the discriminators see (paper: 50); 0 is off",
        lowest=0,
    )

    def check(self):
        super().check()
        if not self.lambda_adversarial and not self.lambda_cycle:
            raise UserError(
                "--lambda-adversarial and --lambda-cycle are both 0, which leaves nothing to learn"
            )


PRESETS: dict[str, Config] = {
    # The TensorFlow tutorial, setting for setting.
    "tutorial": Config(),
    # The paper (section 7) and the authors' code, whose Adam is PyTorch's.
    "paper": Config(
        resize_method="bicubic",
        generator="resnet9",
        norm_affine=False,
        leaky_slope=0.2,
        adversarial_loss="lsgan",
        pool_size=50,
        epochs=200,
        epsilon=1e-8,
        epsilon_form="pytorch",
        decay_start=0.5,
    ),
    # Small enough for two CPU cores; chosen by benchmarks/demo_search.py.
    "demo": Config(
        image_size=64,
        load_size=64,
        resize_method="bicubic",
        filters=32,
        unet_levels=5,
        upsampling="resize",
        discriminator_filters=32,
        leaky_slope=0.2,
        adversarial_loss="lsgan",
        batch_size=4,
        learning_rate=5e-4,
        steps=2000,
        decay_start=0.5,
        checkpoint_every=250,
        sample_every=250,
    ),
}
