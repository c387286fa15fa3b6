"""Whom the servers answer, and what they take for a body."""

import subprocess
import sys

import pytest

from tf_cyclegan.local_server import body_length, is_own_page, parse_json


@pytest.mark.parametrize(
    ("address", "hosts", "origins", "own"),
    [
        ("127.0.0.1", ["127.0.0.1:7860"], [], True),
        ("127.0.0.1", ["localhost:7860"], ["http://localhost:7860"], True),
        ("127.0.0.1", ["LocalHost"], ["http://localhost"], True),
        ("127.0.0.1", ["localhost:9000"], ["http://localhost:9000"], True),  # through a tunnel
        ("127.0.0.2", ["127.0.0.2:80"], [], True),
        ("::1", ["[::1]:7860"], ["http://[::1]:7860"], True),
        ("127.0.0.1", ["evil.example"], [], False),
        ("127.0.0.1", ["evil.example:7860"], ["http://evil.example:7860"], False),
        ("127.0.0.1", ["localhost.evil.example"], [], False),
        ("127.0.0.1", ["localhost@evil.example"], [], False),
        ("127.0.0.1", ["127.0.0.1:7860:80"], [], False),
        ("127.0.0.1", [""], [], False),
        ("127.0.0.1", [], [], False),
        ("127.0.0.1", ["localhost", "evil.example"], [], False),
        ("127.0.0.1", ["localhost:7860"], ["http://evil.example"], False),
        ("127.0.0.1", ["localhost:7860"], ["http://localhost:7861"], False),
        ("127.0.0.1", ["localhost:7860"], ["null"], False),
        ("127.0.0.1", ["localhost:7860"], ["http://localhost:7860", "http://evil.example"], False),
        # Other machines know this one by names that it does not know.
        ("0.0.0.0", ["workstation.lab:7860"], [], True),
        ("0.0.0.0", ["workstation.lab"], ["https://workstation.lab"], True),
        ("192.168.1.5", ["workstation.lab:7860"], ["http://evil.example"], False),
        ("::", ["workstation.lab:7860"], ["http://evil.example"], False),
    ],
)
def test_whose_requests_are_answered(address, hosts, origins, own):
    assert is_own_page(hosts, origins, address) == own


@pytest.mark.parametrize(
    ("lengths", "length"),
    [
        (["0"], 0),
        (["100"], 100),
        (["101"], None),
        (["9" * 5000], None),
        (["+5"], None),
        (["-5"], None),
        (["5_0"], None),
        (["\u0665"], None),  # a five, to Python's int
        (["5", "5"], None),
        ([], None),
    ],
)
def test_lengths(lengths, length):
    assert body_length(lengths, 100) == length


@pytest.mark.parametrize("body", [b"[" * 100000, b"1" * 5000, b"\xff", b"", b'{"a":'])
def test_what_is_no_json_is_one_error(body):
    with pytest.raises(ValueError):
        parse_json(body)


def test_as_many_connections_as_the_system_lets():
    pytest.importorskip("resource")
    program = """
import resource
from tf_cyclegan.local_server import most_connections
resource.setrlimit(resource.RLIMIT_NOFILE, (400, 1000))
assert most_connections(50) == 50 and resource.getrlimit(resource.RLIMIT_NOFILE) == (400, 1000)
assert most_connections(500) == 500 and resource.getrlimit(resource.RLIMIT_NOFILE) == (800, 1000)
assert most_connections(5000) == 700 and resource.getrlimit(resource.RLIMIT_NOFILE) == (1000, 1000)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
