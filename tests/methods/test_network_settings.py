from dataclasses import dataclass, fields
from typing import ClassVar

import pytest

from tf_cyclegan.errors import UserError
from tf_cyclegan.methods.network_settings import NetworkSettings, OneWay


@dataclass(frozen=True)
class Settings(OneWay, NetworkSettings):
    method: ClassVar[str] = "one_way"


def test_the_direction_says_which_domain_is_x():
    assert Settings().domains == ("A", "B")
    assert Settings(direction="b_to_a").domains == ("B", "A")
    with pytest.raises(UserError, match="--direction is 'x'; it takes a_to_b, b_to_a"):
        Settings(direction="x")


def test_a_method_that_translates_one_way_has_the_settings_of_its_networks_too():
    names = [field.name for field in fields(Settings)]
    assert "generator" in names and names.count("direction") == 1
    with pytest.raises(UserError, match="--generator"):
        Settings(generator="none")
