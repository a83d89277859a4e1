"""Budgets are exact: with many clients at once, after kills, and when answers are lost."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

import bl_neuro as bl
from bl_neuro.deploy.serve.ledger import Charge, Charged, Ledger
from bl_neuro.errors import BudgetExceeded, InputError, LogDamaged

pytestmark = pytest.mark.slow

CLIENTS = [f"client{number:02d}" for number in range(32)]
TOKENS = {name: f"{name}-has-a-long-token" for name in CLIENTS}


def logged(path: Path) -> dict[str, int]:
    """Queries of each client in the log."""
    base = sqlite3.connect(path)
    try:
        return dict(base.execute("SELECT client, SUM(cost) FROM queries GROUP BY client"))
    finally:
        base.close()


def test_32_clients_spend_exactly_their_budgets(easy: bl.Network, start: Any, tmp_path: Path) -> None:
    arguments = [word for name, token in TOKENS.items() for word in ("--token", f"{name}:{token}")]
    server = start(easy, "--budget", "20", *arguments)

    def spend(name: str) -> int:
        """Two boxes of one client, each of which believes that it has the whole budget."""
        answered = 0
        boxes = [server.box(token=TOKENS[name]) for _ in range(2)]
        try:
            for turn in range(40):
                answered += len(boxes[turn % 2].query(torch.ones(2, 1 + turn % 2, 12)))
        except BudgetExceeded:
            return answered
        raise AssertionError("no end to the budget")

    with ThreadPoolExecutor(len(CLIENTS)) as pool:
        answered = dict(zip(CLIENTS, pool.map(spend, CLIENTS)))
    charged = logged(tmp_path / "queries.sqlite")
    assert charged == answered
    assert set(charged.values()) <= {19, 20}


@pytest.mark.slow
def test_a_killed_server_keeps_its_charges_and_repeats_none(easy: bl.Network, start: Any, tmp_path: Path) -> None:
    arguments = [word for name, token in TOKENS.items() for word in ("--token", f"{name}:{token}")]
    server = start(easy, "--budget", "12", *arguments)
    boxes = {name: server.box(token=TOKENS[name], patience_s=120.0) for name in CLIENTS}
    under_way = threading.Barrier(len(CLIENTS) + 1)

    def spend(name: str) -> int:
        answered = 0
        for turn in range(12):
            if turn == 4:
                under_way.wait(120)
            answered += len(boxes[name].query(torch.ones(2, 1, 12)))
        return answered

    with ThreadPoolExecutor(len(CLIENTS)) as pool:
        spending = pool.map(spend, CLIENTS)
        under_way.wait(120)
        server.kill()
        again = start(easy, "--budget", "12", *arguments, "--port", server.root.rpartition(":")[2])
        answered = dict(zip(CLIENTS, spending))
    assert again.end() == 0
    assert answered == dict.fromkeys(CLIENTS, 12)
    assert logged(tmp_path / "queries.sqlite") == answered


def test_the_log_charges_a_key_once_and_a_failure_nothing(tmp_path: Path) -> None:
    charge = Charge("a", "key", b"1", 2)
    ledger = Ledger(tmp_path / "log", "network", 5)
    assert ledger.charge([charge, charge]) == [Charged.NEW, Charged.BEFORE]
    assert ledger.charge([Charge("a", "key", b"2", 2)]) == [Charged.ANOTHER]
    assert ledger.charge([Charge("a", None, b"1", 4), Charge("b", "key", b"2", 5)]) == [Charged.OVER, Charged.NEW]
    ledger.void([charge])
    assert ledger.remaining("a") == 5
    assert ledger.charge([charge]) == [Charged.NEW]
    ledger.close()
    again = Ledger(tmp_path / "log", "network", 5)
    assert (again.spent("a"), again.spent("b"), again.remaining("a")) == (2, 5, 3)
    assert again.charge([charge]) == [Charged.BEFORE]
    again.close()


def test_a_log_is_one_server_s_and_one_network_s(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "log", "network", None)
    with pytest.raises(InputError, match="another server"):
        Ledger(tmp_path / "log", "network", None)
    ledger.close()
    with pytest.raises(InputError, match="another network"):
        Ledger(tmp_path / "log", "other", None)
    (tmp_path / "text").write_text("no database, and long enough to be seen as none" * 50)
    with pytest.raises(InputError, match="expected a log of queries"):
        Ledger(tmp_path / "text", "network", None)


def test_a_link_to_a_log_is_that_log_and_who_else_writes_there_is_seen(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "log", "network", 5)
    (tmp_path / "link").symlink_to(tmp_path / "log")
    with pytest.raises(InputError, match="another server"):
        Ledger(tmp_path / "link", "network", 5)
    base = sqlite3.connect(tmp_path / "log")
    base.execute("INSERT INTO queries VALUES (1, 0, 'a', NULL, x'00', 4, '')")
    base.commit()
    base.close()
    with pytest.raises(LogDamaged, match="entry 1 was changed"):
        ledger.charge([Charge("a", None, b"1", 2)])
    ledger.close()


def test_a_reused_key_does_not_reveal_more(easy: bl.Network, start: Any) -> None:
    server = start(easy, "--reveals", "label", "--budget", "1")
    server.box().query(torch.ones(2, 1, 12))
    server.end()
    for options in (("--reveals", "membrane"), ("--reveals", "label", "--backend", "snntorch")):
        with pytest.raises(AssertionError, match="use another file with --log"):
            start(easy, "--budget", "1", *options)


def test_the_log_only_grows(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "log", "network", None)
    ledger.charge([Charge("a", None, b"1", 1)])
    ledger.close()
    base = sqlite3.connect(tmp_path / "log")
    for statement in ("UPDATE queries SET cost = 0", "DELETE FROM queries"):
        with pytest.raises(sqlite3.IntegrityError, match="append only"):
            base.execute(statement)
    base.close()
