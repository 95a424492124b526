"""facts/firewall.py: which machines a firewall's own list lets in."""

from __future__ import annotations

import pytest

from sparkqfs.facts.firewall import lets_in

ADDRESS = "192.168.1.1"


@pytest.mark.parametrize(
    ("rules", "is_open"),
    [
        ([], False),
        (["Anywhere                   ALLOW       192.168.1.1"], True),
        (["Anywhere                   ALLOW IN    192.168.1.0/24             # the cluster"], True),
        (["Anywhere on eth0           ALLOW IN    Anywhere"], True),
        (["192.168.1.11               ALLOW IN    192.168.0.0/16"], True),
        (["Anywhere                   ALLOW       192.168.1.11"], False),
        (["Anywhere                   ALLOW       192.168.2.0/24"], False),
        (["Anywhere/udp               ALLOW       192.168.1.0/24/udp"], True),
        (["Anywhere/esp               ALLOW       192.168.1.0/24/esp"], False),
        (["22/tcp                     ALLOW       Anywhere"], False),
        (["22/tcp                     ALLOW       192.168.1.1"], False),
        (["OpenSSH                    ALLOW       Anywhere"], False),
        (["Anywhere (v6)              ALLOW       Anywhere (v6)"], False),
        (["Anywhere                   ALLOW OUT   Anywhere"], False),
        (["Anywhere                   ALLOW FWD   192.168.1.1"], False),
        (["Anywhere                   DENY        192.168.1.1"], False),
        (["7946/tcp ALLOW Anywhere", "7946/udp ALLOW Anywhere", "4789/udp ALLOW 192.168.1.0/24"], True),
        (["7946 ALLOW Anywhere", "14789/udp ALLOW Anywhere"], False),
        (["2377,7946/tcp ALLOW IN 192.168.1.1", "4700:4800/udp ALLOW IN 192.168.1.1"], True),
        (["192.168.1.11 7946 ALLOW 192.168.1.1", "192.168.1.11 4789/udp ALLOW 192.168.1.1"], True),
        (["Anywhere ALLOW 192.168.1.1 7946"], False),
    ],
)
def test_addresses_and_ports_are_read_as_such(rules: list[str], is_open: bool) -> None:
    assert lets_in(rules, ADDRESS, (7946, 4789)) is is_open


def test_another_family_and_names_count_too() -> None:
    assert lets_in(["Anywhere (v6) ALLOW Anywhere (v6)"], "fd00::1", (7946,))
    assert not lets_in(["Anywhere ALLOW Anywhere"], "fd00::1", (7946,))
    assert lets_in(["Anywhere ALLOW fd00::/64"], "fd00::1", (7946,))
    assert lets_in(["Anywhere ALLOW node2"], "node2", (7946,)) and not lets_in(["Anywhere ALLOW node22"], "node2", ())
