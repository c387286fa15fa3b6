"""docs/comparison.md: the commands that make it, and the tables that are written into it."""

import argparse
import json
import statistics

import pytest

from tf_cyclegan import commands, compare
from tf_cyclegan.ablate import VARIANTS, variant_config
from tf_cyclegan.evaluation.entries import parse_entries
from tf_cyclegan.methods import methods
from tf_cyclegan.methods.cyclegan.settings import PRESETS
from tools.comparison import ABLATION, AFTER, METHODS, TITLES, command_of, results

ARGS = argparse.Namespace(steps=5, seeds=2, jobs=1, pairs="pairs", features="vgg16")


@pytest.mark.parametrize("name", TITLES)
def test_its_commands_are_such_as_compare_takes(name):
    _, *arguments = command_of(name, ARGS)
    options = commands.parse(compare.Options, arguments, "compare")
    entries = parse_entries(options.entries, {"dataset": options.settings.dataset}, compare.OWN)
    if name.endswith("_ablation"):
        assert list(entries) == list(ABLATION) == [v for v in VARIANTS if v != "cyclegan_identity"]
        for variant, settings in entries.items():
            base = PRESETS["plain"]
            base = type(base)(**{**vars(base), "dataset": options.settings.dataset})
            expected = vars(variant_config(base, variant, options.output))
            assert vars(settings) == {**expected, "run_dir": None}
        return
    told = {entry.removesuffix("_back") for entry in entries}
    if name.endswith("_after"):
        assert told == set(AFTER) - {"cyclegan"}  # whose row is the other table's
        for entry, settings in entries.items():
            method = entry.removesuffix("_back").replace("fast", "")
            assert (settings.method, settings.dataset) == (method, name.split("_")[0])
            assert (settings.domains == ("B", "A")) == entry.endswith("_back")
            assert getattr(settings, "flip_equivariance", False) == entry.startswith("fast")
        return
    assert told == set(METHODS)
    for entry, settings in entries.items():
        assert settings.method == entry.removesuffix("_back")
        data = f"pairs/{name}_pairs.zip" if settings.method == "pix2pix" else name
        assert settings.dataset == data
        assert settings.domains == (("B", "A") if entry.endswith("_back") else ("A", "B"))
        if len(methods()[settings.method].directions) == 1:
            assert {settings.method, f"{settings.method}_back"} <= set(entries)


def test_cyclegan_stands_beside_what_came_after(tmp_path):
    for name, method in (("earth", "cyclegan"), ("earth_after", "dclgan")):
        row = {"steps": 5, "minutes": [1.0], "numbers": [{"l1 x→y": 0.5}], "mean": {"l1 x→y": 0.5}}
        (tmp_path / name).mkdir()
        (tmp_path / name / "table.json").write_text(json.dumps({"rows": {method: row}}))
    after = results(tmp_path).split("### After")[1]
    assert [line.split(" |")[0] for line in after.splitlines() if " 0.500 " in line] == [
        "| CycleGAN",
        "| DCLGAN",
    ]


def test_a_method_that_goes_one_way_has_one_row(tmp_path):
    def row(arrow, values, minutes):
        numbers = [{f"l1 {arrow}": value} for value in values]
        return {"steps": 500, "minutes": minutes, "numbers": numbers, "mean": numbers[0]}

    rows = {
        "one colour": {**row("x→y", [0.75], []), "steps": None},
        "simgan": row("x→y", [0.25, 0.5], [1.0, 2.0]),
        "simgan_back": row("y→x", [0.125, 0.25], [3.0, 5.0]),
    }
    (tmp_path / "emoji").mkdir()
    (tmp_path / "emoji" / "table.json").write_text(json.dumps({"rows": rows}))
    text = results(tmp_path)
    assert "2 seeds" in text
    _, _, *lines = [line for line in text.splitlines() if line.startswith("|")]
    first, second = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines)
    assert first == ["one colour", "0.750", "-", "-", "-", "-", "-", "-", "-"]
    to_y, to_x, minutes = (
        f"{statistics.mean(values):#.3g} ± {statistics.stdev(values):.2g}"
        for values in ([0.25, 0.5], [0.125, 0.25], [4.0, 7.0])
    )
    assert second == ["SimGAN", to_y, "-", "-", to_x, "-", "-", "2 x 500", minutes]
