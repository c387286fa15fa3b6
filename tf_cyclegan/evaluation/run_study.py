"""A perceptual study from folders of images to its results: what the page shows, and the report."""

import json
import webbrowser
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image, ImageOps

from ..data.decode import UnreadableImage
from ..data.picture import RESAMPLING
from ..data.sources import Domain, open_image_folder
from ..errors import UserError
from ..files import check_writable, holding, write_file
from ..paths import missing
from ..progress import log, progress
from .perceptual_study import Protocol, Study, read_lines, read_protocol, refuse_other_folder
from .study_results import results_table, study_results
from .study_server import open_server

LARGEST_SQUARE = 256  # pixels a side, of images of different sizes, as in the paper's study


def run_study(
    real: Path,
    fake: Mapping[str, Path],
    output: Path,
    *,
    practice: int,
    trials: int,
    seconds: float,
    image_size: tuple[int, int] | None,
    seed: int,
    port: int,
    open_browser: bool,
    skip_unreadable: bool,
    max_pixels: int,
) -> None:
    """Serve a study until Ctrl-C.

    Args:
        real: Folder of real images.
        fake: Folders of generated images, by the model's name.
        output: Folder of the answers; one that exists is continued.
        practice: Pairs with feedback, which do not count.
        trials: Pairs that count.
        seconds: How long a pair is shown.
        image_size: Height and width to scale all images to; None for their own.
        seed: Of the pairs, their order and sides.
        port: Of the page on 127.0.0.1; 0 is any that is free.
        open_browser: Open the page in the browser.
        skip_unreadable: Leave out images that cannot be read.
        max_pixels: Of an image; what has more cannot be read.

    Raises:
        UserError: The folders, the port or the settings do not allow it.
    """
    refuse_other_folder(output)
    check_writable(output / "answers.jsonl")
    folders = {None: real} | dict(fake)
    images = {}
    for name, folder in folders.items():
        option = "--real" if name is None else "--fake"
        if not folder.is_dir():
            raise UserError(f"{option}: {missing('folder', folder)}")
        images[name] = open_image_folder(folder)
        if not len(images[name]):
            raise UserError(f"{option}: {folder} holds no image")
    sizes = _sizes(images, skip_unreadable, max_pixels)
    shape = _shape(image_size, sizes)
    readers = {
        name: {
            Path(path).relative_to(folders[name]).as_posix(): (domain, index)
            for index, path in enumerate(domain.names)
            if path in sizes
        }
        for name, domain in images.items()
    }

    def read_image(model: str | None, name: str) -> Image.Image:
        domain, index = readers[model][name]
        image = domain.image(index, max_pixels)
        size = (shape[1], shape[0])
        if image.size == size:
            return image
        if image_size:
            return image.resize(size, RESAMPLING["bicubic"])
        return ImageOps.fit(image, size, RESAMPLING["bicubic"])

    protocol = Protocol(str(real.resolve()), shape, practice, trials, seconds)
    with holding(output, "study", "choose another --output"):
        study = Study(
            output,
            protocol,
            {name: str(folder.resolve()) for name, folder in folders.items() if name is not None},
            real=list(readers[None]),
            fake={name: list(names) for name, names in readers.items() if name is not None},
            seed=seed,
        )
        with open_server(study, read_image, port) as server:
            _say_what_is_few(practice + trials, readers)
            url = f"http://127.0.0.1:{server.server_port}/"
            try:
                log(f"the study is at {url}; Ctrl-C ends it, the same command goes on with it")
                if open_browser:
                    webbrowser.open(url)
                server.serve_forever()
            except KeyboardInterrupt:
                log("")


def _sizes(
    images: dict[str | None, Domain], skip_unreadable: bool, max_pixels: int
) -> dict[str, tuple[int, int]]:
    """Width and height of every image that can be read, by path."""
    places = [(domain, i) for domain in images.values() for i in range(len(domain))]

    def size(place):
        domain, index = place
        try:
            return domain.image(index, max_pixels).size
        except UnreadableImage as error:
            if skip_unreadable:
                return None
            raise UserError(
                f"{domain.names[index]} cannot be read ({error}); remove it, or pass "
                "--skip-unreadable"
            ) from error

    with ThreadPoolExecutor() as threads:
        found = list(progress(threads.map(size, places), len(places), "reading images"))
    sizes = {d.names[i]: one for (d, i), one in zip(places, found, strict=True) if one}
    for domain in images.values():
        if not any(name in sizes for name in domain.names):
            raise UserError(f"no image can be read, the first is {domain.names[0]}")
    if len(sizes) < len(places):
        log(f"left out {len(places) - len(sizes)} unreadable images")
    return sizes


def _shape(
    image_size: tuple[int, int] | None, sizes: dict[str, tuple[int, int]]
) -> tuple[int, int]:
    """Height and width to show images in: one for all, or the size would tell which is real."""
    if image_size:
        return image_size
    different = set(sizes.values())
    if len(different) == 1:
        ((width, height),) = different
        return height, width
    side = min(LARGEST_SQUARE, *map(min, different))
    log(
        f"the images have {len(different)} sizes, which would tell which one is real: of each "
        f"the middle square is shown, scaled to {side}x{side}; --image-size shows them whole"
    )
    return side, side


def _say_what_is_few(pairs: int, readers: dict[str | None, dict]) -> None:
    for name, readable in readers.items():
        if len(readable) < pairs:
            log(
                f"{'--real' if name is None else name} has {len(readable)} images for {pairs} pairs, "
                "so that a participant sees some again, and may know them"
            )


def report(folder: Path) -> None:
    """Print the results of the answers in a study's folder, and write results.json there.

    Raises:
        UserError: There is no study.
    """
    protocol = read_protocol(folder)
    results = study_results(read_lines(folder))
    content = json.dumps({"protocol": protocol, "models": results}, indent=2)
    write_file(folder / "results.json", content + "\n")
    if not results:
        log(f"{folder} holds no answer that counts yet")
        return
    print(results_table(results), end="", flush=True)
    for result in results.values():
        for note in result["notes"]:
            log(note)
    log(f"wrote {folder / 'results.json'}")
