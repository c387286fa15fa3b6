"""What the two servers, of the demo and of the study, hold against clients that mean no good."""

import ipaddress
import json
import re
from collections.abc import Sequence

# A browser whose connections are cut or refused opens others.
REQUEST_SECONDS = 20  # from when a connection is opened, or free again, to the end of the request
FEWEST_FREE_FILES = 300  # that are left to the process beside its connections


def is_own_page(hosts: Sequence[str], origins: Sequence[str], address: str) -> bool:
    """Whether a request comes from a page of this server, or from no page at all.

    Another site can have a browser ask this machine, and can have its own name point here (DNS
    rebinding): the first shows in `Origin`, the second in `Host`. A server on a loopback address
    has the names that this machine has for itself, with any port, as a tunnel may come from another.
    One that listens to other machines cannot know by which name they reach it; there `Origin` alone
    is held against `Host`.

    Args:
        hosts: The values of the request's Host headers.
        origins: Those of its Origin headers.
        address: That the server is bound to, a number.
    """
    if len(hosts) != 1 or len(origins) > 1:
        return False
    host = hosts[0].lower()
    bound = ipaddress.ip_address(address)
    if bound.is_loopback:
        number = f"[{bound}]" if bound.version == 6 else str(bound)
        if re.sub(r":[0-9]{1,5}$", "", host) not in (number, "localhost"):
            return False
    return not origins or origins[0].lower() in (f"http://{host}", f"https://{host}")


def body_length(lengths: Sequence[str], limit: int) -> int | None:
    """How many bytes of body a request announces; None if that is not said once, or is too much.

    Args:
        lengths: The values of the request's Content-Length headers.
        limit: In bytes.
    """
    if len(lengths) != 1 or not re.fullmatch(r"[0-9]{1,15}", lengths[0]):
        return None
    length = int(lengths[0])
    return length if length <= limit else None


def parse_json(body: bytes):
    """What a body of JSON says.

    Raises:
        ValueError: It is none, or is nested or has numbers as no page of ours would send.
    """
    try:
        return json.loads(body)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def most_connections(wanted: int) -> int:
    """So many connections, or fewer where the system lets the process open fewer files.

    The process's own limit is raised as far as that takes.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = wanted + FEWEST_FREE_FILES
    if soft == resource.RLIM_INFINITY or soft >= enough:
        return wanted
    if hard != resource.RLIM_INFINITY:
        enough = min(enough, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (enough, hard))
    return max(enough - FEWEST_FREE_FILES, 1)
