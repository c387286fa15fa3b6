"""What the README and docs/ say is so: their commands run, their options and links exist."""

import ast
import dataclasses
import importlib
import re
import shlex
import shutil
import subprocess
import zipfile
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from conftest import write_images
from trainings import quick_trainings

import tf_cyclegan
from tf_cyclegan import commands, demo
from tf_cyclegan.__main__ import COMMANDS
from tf_cyclegan.data.embedded import EMBEDDED
from tf_cyclegan.methods import methods
from tf_cyclegan.methods.cyclegan.settings import PRESETS, Config
from tf_cyclegan.settings import RunSettings
from tf_cyclegan.torch_weights.pretrained import NAMES
from tf_cyclegan.translation.load import saved_model_folder

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    "README.md",
    "SECURITY.md",
    *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))),
]
GOLDEN = ROOT / "tests" / "golden"
FENCE = re.compile(r"^```(.*?)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*(?![\w-])")

# Every preset becomes this small, but for the kind of its generator.
SMALL = {
    "image_size": 32,
    "load_size": 36,
    "filters": 2,
    "discriminator_filters": 2,
    "steps": 1,
    "sample_every": 0,
    "jit": "off",
    "nce_layers": "0,4,8,12",
}
# What a command asks for is checked as it stands, and then this is run instead.
SHORTER = {
    "--steps": "1",
    "--epochs": "1",
    "--minutes": "0.001",
    "--image-size": "32",
    "--load-size": "36",
    "--generator": "resnet2",
}
SHORTER_WIDE = {"--image-size": "32x40", "--load-size": "36x45"}  # for sizes such as 256x512
TRAINING = ("train", "compare", "ablate")
# Commands whose options are checked but which are not run, and why.
NOT_RUN = {
    "demo": "serves a page until Ctrl-C; tests/doors/test_demo.py opens it",
    "study": "serves a page until Ctrl-C; tests/evaluation/test_study.py opens it",
    "--features": "fetches the weights of Inception; tests/evaluation/test_features.py has small ones",
    "--fid-protocol": "fetches them too",
    "--judge-features": "needs the file of a tool; tests/evaluation/test_comparison.py has its own",
}


def small(config: RunSettings) -> RunSettings:
    kind = {"generator": "unet", "unet_levels": 3}
    if getattr(config, "generator", "unet") != "unet":  # of the size of tests/golden/resnet.pth
        kind = {"generator": "resnet2"}
    wanted = SMALL | kind | {"pool_size": min(getattr(config, "pool_size", 0), 4)}
    own = {field.name for field in dataclasses.fields(config)}
    return dataclasses.replace(config, **{name: wanted[name] for name in wanted.keys() & own})


def read(page: str) -> str:
    return (ROOT / page).read_text()


def prose(page: str) -> str:
    return FENCE.sub("", read(page))


def embed_small_sets(monkeypatch, world: Path) -> None:
    """Put a few pictures in the place of every embedded data set."""
    for name, embedded in EMBEDDED.items():
        monkeypatch.setitem(EMBEDDED, name, embedded._replace(archive=world / "emoji.zip"))


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A folder with everything that the commands of the pages begin with."""
    world = tmp_path_factory.mktemp("docs")
    for dataset in ("cats2dogs", "wide", "cycle_gan/horse2zebra", "emoji"):
        for split, count in (("trainA", 5), ("trainB", 5), ("testA", 2), ("testB", 2)):
            write_images(world / dataset / split, count, seed=count, size=(64, 64))
    for split, count in (("train", 5), ("test", 2)):
        write_images(world / "facades" / split, count, seed=count, size=(128, 64))
    for name in ("emoji", "horse2zebra"):
        with zipfile.ZipFile(world / f"{name}.zip", "w") as archive:
            for path in (world / "emoji").rglob("*.png"):
                archive.write(path, path.relative_to(world / "emoji"))
    shutil.rmtree(world / "emoji")
    for folder in (
        "photos",
        "paintings",
        "horses",
        "my/photos",
        "my/paintings",
        "my/cats",
        "my/dogs",
    ):
        write_images(world / folder, 2, seed=5, size=(44, 32))
    shutil.copy(world / "photos" / "000.png", world / "picture.png")
    shutil.copy(GOLDEN / "resnet.pth", world / "latest_net_G.pth")
    (world / "cache" / "tf_cyclegan").mkdir(parents=True)
    for name in NAMES:
        shutil.copy(GOLDEN / "resnet.pth", world / "cache" / "tf_cyclegan" / f"{name}.pth")
    with pytest.MonkeyPatch.context() as patch:
        embed_small_sets(patch, world)
        run = world / "runs" / "emoji"
        with quick_trainings():
            tf_cyclegan.train(small(dataclasses.replace(PRESETS["demo"], run_dir=str(run))))
        translator = importlib.import_module("tf_cyclegan.translation.translator")
        translator.export_run(run, run / "saved_model")
    return world


@pytest.fixture
def world(template, tmp_path, monkeypatch):
    """A copy of that folder to be in, where data sets, presets and trainings are small."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    embed_small_sets(monkeypatch, tmp_path)
    return tmp_path


@pytest.fixture
def shortened(monkeypatch):
    """Small presets."""
    for method in methods().values():
        for name, preset in method.presets.items():
            monkeypatch.setitem(method.presets, name, small(preset))
    monkeypatch.setattr(tf_cyclegan, "Config", lambda **settings: small(Config(**settings)))


def check_options(name: str, arguments: list[str]) -> None:
    """Parse a command's options as the command itself does."""
    module = importlib.import_module(f"tf_cyclegan.{name}")
    try:
        if name == "train":
            module.parse_config(arguments)
        else:
            commands.parse(module.Options, arguments, name)
    except SystemExit as exit_:
        assert not exit_.code, (name, arguments)


def run_ours(name: str, arguments: list[str], command) -> None:
    """Run a command of the package, shortened."""
    check_options(name, arguments)
    if name in NOT_RUN or set(arguments) & set(NOT_RUN):
        if name == "demo":
            options = commands.parse(demo.Options, arguments, name)
            for path in options.model:
                assert saved_model_folder(path) or (path / "config.json").is_file()
        return
    if name in TRAINING:
        for index, option in enumerate(arguments[:-1]):
            value = arguments[index + 1]
            shorter = SHORTER_WIDE if re.fullmatch(r"\d+x\d+", value) else SHORTER
            arguments[index + 1] = shorter.get(option, value)
        if name == "ablate" and "--variants" not in arguments:
            arguments += ["--variants", "cyclegan"]
        if name == "compare":
            arguments += ["--seeds", "1"]
    module = importlib.import_module(f"tf_cyclegan.{name}")
    with quick_trainings() if name in TRAINING else nullcontext():
        code, errors = command(module.main, *arguments)
    assert code == 0, (name, arguments, errors)


def check_other(words: list[str]) -> bool:
    """Check a command that is not the package's and is not run here; False if it is not known."""
    match words:
        case ["make", target]:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
        case [".", ".venv/bin/activate"]:
            assert "VENV := .venv" in (ROOT / "Makefile").read_text()
        case ["pip", "install", *packages]:
            extras = re.findall(r"^(\w+) =$", (ROOT / "setup.cfg").read_text(), re.MULTILINE)
            for extra in re.findall(r"\[(\w+)\]", " ".join(packages)):
                assert extra in extras, extra
        case ["python", "-m", "http.server", *_]:
            pass
        case ["python", "-m", module, *arguments] if not module.startswith("tf_cyclegan."):
            check_script(module.replace(".", "/"), arguments)
        case ["python", script, *arguments] if script.endswith(".py"):
            check_script(script.removesuffix(".py"), arguments)
        case ["pytest", path]:
            assert (ROOT / path).exists(), path
        case _:
            return False
    return True


def check_script(path: str, arguments: list[str]) -> None:
    files = [ROOT / f"{path}.py", ROOT / path / "__main__.py"]
    source = "".join(file.read_text() for file in files if file.is_file())
    assert source, path
    for option in OPTION.findall(" ".join(arguments)):
        assert f'"{option}"' in source, (path, option)


def run_line(line: str, command) -> None:
    """Run a line of a shell block; a command that is not known here fails."""
    words = shlex.split(line, comments=True)
    if not words or check_other(words):
        return
    match words:
        case ["python", "-m", module, *arguments]:
            assert module.removeprefix("tf_cyclegan.") in COMMANDS, line
            run_ours(module.removeprefix("tf_cyclegan."), arguments, command)
        case ["mkdir" | "cp", *_]:
            subprocess.run(line, shell=True, check=True)
        case _:
            pytest.fail(f"this test does not know how to run: {line}")


@pytest.mark.parametrize("page", PAGES)
def test_commands_run(page, world, shortened, command):
    for language, text in FENCE.findall(read(page)):
        if language == "sh":
            if "--video" in text:
                write_film(world / "in.mp4")
            for line in text.replace("\\\n", " ").splitlines():
                run_line(line, command)
        elif language == "python":
            images = np.zeros([1, 40, 48, 3], np.uint8)
            with quick_trainings() if "cg.train(" in text else nullcontext():
                exec(compile(text, page, "exec"), {"images": images, "horses": images})
        elif page != "docs/browsers.md":  # tests/translation/test_browsers.py opens its pages
            assert language == "", f"{page} has a block of {language!r}"
            assert not re.search(r"^(python|make|pip|tf-cyclegan) ", text, re.MULTILINE), text


def write_film(path: Path) -> None:
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as film:
        stream = film.add_stream("libx264", rate=10)
        stream.width, stream.height = 48, 32
        for _ in range(2):
            frame = av.VideoFrame.from_ndarray(np.zeros([32, 48, 3], np.uint8), format="rgb24")
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_the_text_parse(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where no run has begun
    for code in re.findall(r"`([^`]+)`", prose(page)):
        words = shlex.split(code) if re.match(r"(python|make|pip|pytest) ", code) else []
        match words:
            case ["python", "-m", module, *arguments] if module.startswith("tf_cyclegan."):
                check_options(module.removeprefix("tf_cyclegan."), arguments)
            case [_, *_]:
                assert check_other(words), code


@pytest.fixture
def options_of(capsys):
    """The options that a command's --help lists, whatever the method."""

    def options(name: str) -> set[str]:
        found = set()
        for of_method in [["--method", m] for m in methods()] if name == "train" else [[]]:
            with pytest.raises(SystemExit):
                importlib.import_module(f"tf_cyclegan.{name}").main([*of_method, "--help"])
            # A terminal that cannot draw boxes gets the same without.
            lines = re.findall(r"^[│ ] (-.*?)(?:  .*)?$", capsys.readouterr().out, re.MULTILINE)
            found |= {option for line in lines for option in OPTION.findall(line)}
        return found - {"--help"}

    return options


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_in_the_settings(name, options_of):
    sections = re.split(r"^## (\w+)$", read("docs/settings.md"), flags=re.MULTILINE)
    section = dict(zip(sections[1::2], sections[2::2], strict=True))[name]
    options = options_of(name)
    assert options
    told = set(OPTION.findall(" ".join(re.findall(r"`([^`]+)`", FENCE.sub("", section)))))
    # These two take every setting of train, and say so.
    known = told | (options_of("train") if name in ("ablate", "compare") else set())
    assert {o for o in options if o.replace("--no-", "--") not in known} == set()
    assert told - options == set()


def test_every_option_named_exists(options_of):
    known = {"--upgrade", "--bind"}  # of pip and of http.server
    for name in COMMANDS:
        known |= options_of(name)
    for folder in ("benchmarks", "tools", "tests/load"):
        for path in (ROOT / folder).glob("*.py"):
            known |= set(re.findall(r'"(--[a-z-]+)"', path.read_text()))
    for page in PAGES:
        assert set(OPTION.findall(read(page))) - known == set(), page


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_are_there(page):
    for target in re.findall(r"\]\(([^)]+)\)", prose(page)):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", FENCE.sub("", file.read_text()), re.MULTILINE)
            slugs = [
                re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings
            ]
            assert anchor in slugs, target


def test_every_file_uses_only_files_above_it():
    table = re.search(r"\|---.*?\n\n", read("docs/architecture.md"), re.DOTALL)[0]
    listed = re.findall(r"`([\w/]+)\.py`", table)
    package = ROOT / "tf_cyclegan"
    files = {path.relative_to(package).with_suffix("").as_posix() for path in package.rglob("*.py")}
    assert sorted(listed) == sorted(file for file in files if "__" not in file)
    for place, name in enumerate(listed):
        for used in imports(package, name):
            if used in listed:
                assert listed.index(used) < place, f"{name} uses {used}, which comes later"


def imports(package: Path, name: str) -> set[str]:
    """The files of the package that one imports, anywhere in it."""
    folder = Path(name).parent
    used = set()
    for node in ast.walk(ast.parse((package / f"{name}.py").read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = Path(*folder.parts[: len(folder.parts) - node.level + 1])
            modules = [node.module] if node.module else [alias.name for alias in node.names]
            used |= {(base / module.replace(".", "/")).as_posix() for module in modules}
    return used
