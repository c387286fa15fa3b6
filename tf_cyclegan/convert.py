"""Convert a PyTorch checkpoint: `python -m tf_cyclegan.convert latest_net_G.pth --output DIR`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from .commands import import_tensorflow, parse, run_command
from .errors import UserError
from .files import check_writable, writing
from .help_texts import told
from .progress import log
from .torch_weights.published import NAMES


@dataclass(frozen=True)
class Options:
    """Turn a PyTorch checkpoint of junyanz/pytorch-CycleGAN-and-pix2pix into a Keras model.

    Writes model.keras, which Keras loads after `import tf_cyclegan.models`, and for a generator of
    colour images saved_model, which needs only TensorFlow and is what `translate --model` takes.
    `export --model` makes ONNX, LiteRT and .keras files of it that need nothing of this package.
    """

    output: Path
    """folder to write, a new one"""
    checkpoint: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")] = None
    """latest_net_G.pth, or another state dict of a generator or discriminator, or .safetensors"""
    pretrained: Annotated[
        str | None,
        told("fetch what the authors published: " + ", ".join(NAMES), None, metavar="NAME"),
    ] = None


def main(arguments: list[str] | None = None) -> None:
    """The command: `python -m tf_cyclegan.convert`."""
    options = parse(Options, arguments, "convert")
    if (options.checkpoint is None) == (options.pretrained is None):
        raise UserError("give either the path of a checkpoint or --pretrained NAME")
    output = options.output
    if output.is_file() or (output.is_dir() and any(output.iterdir())):
        raise UserError(f"--output {output} exists already; choose another")
    check_writable(output, folder=True)
    from .torch_weights.checkpoint import read_checkpoint
    from .torch_weights.pretrained import fetch_pretrained

    path = options.checkpoint or fetch_pretrained(options.pretrained)
    tensors = read_checkpoint(path)
    import_tensorflow()
    from .torch_weights.networks import build_network
    from .translation.translator import save_translator

    network = build_network(tensors, path)
    log(f"{path} is {network.summary}")
    channels = (network.model.input_shape[-1], network.model.output_shape[-1])
    translates = network.size_multiple is not None and channels == (3, 3)
    with writing(output, new=True) as beside:
        beside.mkdir()
        network.model.save(beside / "model.keras")
        if translates:
            save_translator(network.model, network.size_multiple, beside / "saved_model")
    log(f"wrote {output / 'model.keras'}")
    if translates:
        log(f"wrote {output / 'saved_model'}")
    elif network.size_multiple is not None:
        log(
            f"wrote no saved_model: it would translate colour images, and this network takes "
            f"{channels[0]} channels to {channels[1]}"
        )


if __name__ == "__main__":
    run_command(main)
