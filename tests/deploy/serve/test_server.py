"""How many connections a server takes, whatever it may open."""

from __future__ import annotations

import resource

import pytest

from bl_neuro.deploy.serve import server

ENDLESS = resource.RLIM_INFINITY
WANTED = server.MOST_CONNECTIONS + server.SPARE_FILES


@pytest.mark.parametrize(
    ("limits", "connections", "raised_to"),
    [
        ((256, ENDLESS), server.MOST_CONNECTIONS, WANTED),
        ((1024, 2**20), server.MOST_CONNECTIONS, WANTED),
        ((2**20, 2**20), server.MOST_CONNECTIONS, None),
        ((ENDLESS, ENDLESS), server.MOST_CONNECTIONS, None),
        ((1024, 1024), 1024 - server.SPARE_FILES, None),
        ((256, 1024), 1024 - server.SPARE_FILES, 1024),
        ((400, 400), 100, None),
    ],
)
def test_connections_fit_the_files(
    limits: tuple[int, int], connections: int, raised_to: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda which, to: raised.append(to))
    assert server._room_for_connections() == connections
    assert raised == ([] if raised_to is None else [(raised_to, limits[1])])
