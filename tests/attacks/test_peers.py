"""The peers of v2: their queries and results, and that they run under the same conditions as v2."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bl_neuro import BlackBox, CubaLIF, Dense, Flatten, InputError, MissingDependency, Network
from bl_neuro.attacks import BrainLeaksV2, CmaEs, Inversions, OnePlusOneEs, RandomSearch, cma_es
from bl_neuro.attacks.fitness import evidence
from bl_neuro.attacks.image_prior import ImagePrior
from bl_neuro.attacks.peer_search import PeerSearch, Searcher
from bl_neuro.testing.reference_target import ReferenceTarget, easy_network

try:
    import cmaes
except ImportError:
    cmaes = None
needs_cmaes = pytest.mark.skipif(cmaes is None, reason="cmaes is not installed")
PEERS = [RandomSearch, OnePlusOneEs, pytest.param(CmaEs, marks=needs_cmaes)]
NO_PRIOR = ImagePrior((12,), 0.0, None, None)


class Recorded(BlackBox):
    """A black box that records its queries."""

    __slots__ = ("asked",)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.asked: list[Any] = []

    def query(self, spikes: Any) -> Any:
        self.asked.append(spikes)
        return super().query(spikes)


def inverted(peer: PeerSearch, reveals: str = "counts", budget: int | None = None) -> tuple[Inversions, Recorded]:
    box = Recorded(ReferenceTarget(easy_network()), reveals=reveals, budget=budget)
    return peer(box, classes=[2, 0, 1], steps=6, seed=1), box


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("reveals", ["scores", "counts", "label"])
def test_finds_its_class(peer: type[PeerSearch], reveals: str) -> None:
    inversions, box = inverted(peer(queries=96, warm_start=60), reveals)
    label = BlackBox(ReferenceTarget(easy_network()), "label")
    assert label.query(inversions.spikes).tolist() == [2, 0, 1]
    assert inversions.queries == box.spent == 60 + 3 * 96


@pytest.mark.parametrize("peer", PEERS)
def test_queries_are_held_frames(peer: type[PeerSearch]) -> None:
    _, box = inverted(peer(queries=20, warm_start=30))
    for spikes in box.asked:
        assert bool((spikes == spikes[:1]).all())


@pytest.mark.parametrize("peer", PEERS)
def test_peers_share_the_warm_start(peer: type[PeerSearch]) -> None:
    _, box = inverted(peer(queries=4, warm_start=30))
    _, other = inverted(RandomSearch(queries=4, warm_start=30))
    assert bool((box.asked[0] == other.asked[0]).all())


@pytest.mark.parametrize("peer", PEERS)
def test_traces_every_generation(peer: type[PeerSearch]) -> None:
    inversions, _ = inverted(peer(queries=10, warm_start=30, population=4))
    assert inversions.trace.queries.tolist() == [30, 30 + 12, 30 + 24, 30 + 30]


@pytest.mark.parametrize("peer", PEERS)
def test_a_small_budget_is_split_between_looking_around_and_searching(peer: type[PeerSearch]) -> None:
    inversions, box = inverted(peer(queries=10, warm_start=30), budget=40)
    assert len(box.asked[0][0]) == 20
    assert inversions.status.value == "budget_spent"
    assert 20 < inversions.queries <= 40


@pytest.mark.parametrize("peer", [RandomSearch, OnePlusOneEs])
def test_the_inversion_is_the_fittest_queried_frame(peer: type[PeerSearch]) -> None:
    inversions, box = inverted(peer(queries=40, warm_start=0), "scores")
    assert inversions.rates is None
    assert bool((inversions.spikes == inversions.spikes[:1]).all())
    frames = np.concatenate([np.asarray(spikes[0]) for spikes in box.asked])
    answers = BlackBox(ReferenceTarget(easy_network()), "scores")
    own = evidence(answers.query(inversions.spikes), "scores", 3)[np.arange(3), [2, 0, 1]]
    asked = evidence(answers.query(np.repeat(frames[None], 6, axis=0)), "scores", 3)
    mine = np.arange(len(frames)) % 3  # queries come in rows of one for each inversion
    best = [asked[mine == column, label].max() for column, label in enumerate([2, 0, 1])]
    np.testing.assert_allclose(own, best)


def test_random_search_draws_from_the_first_guess() -> None:
    rates = np.tile(np.linspace(0, 1, 12), (2, 1))
    frames = RandomSearch().searcher(rates, NO_PRIOR, 0).ask(4000)
    assert frames.shape == (4000, 2, 12)
    np.testing.assert_allclose(frames.mean(axis=0), rates, atol=0.04)


@pytest.mark.parametrize("peer", [RandomSearch, pytest.param(CmaEs, marks=needs_cmaes)])
def test_draws_can_come_in_strokes(peer: type[PeerSearch]) -> None:
    prior = ImagePrior((1, 16, 16), 0.0, None, None)

    def agreeing(stroke: float) -> float:
        settings: dict[str, Any] = {"sigma": 1e-6} if peer is CmaEs else {}
        plan = peer(stroke=stroke, **settings)
        frames = plan.searcher(np.full((2, 1, 16, 16), 0.5), prior, 0).ask(50)
        assert frames.mean() == pytest.approx(0.5, abs=0.05)
        return float((frames[..., 1:] == frames[..., :-1]).mean())

    assert agreeing(0.0) == pytest.approx(0.5, abs=0.03)
    assert agreeing(1.0) > 0.7


def test_strokes_are_assumed_of_images_alone() -> None:
    expected = ["lit pixels come in strokes (chance shared over 2 pixels)"]
    image = BlackBox(ReferenceTarget(Network((1, 2, 2), [Flatten(), Dense(np.ones((2, 4)), CubaLIF())])))
    assert RandomSearch(blur=0.0, stroke=2.0).assumptions(image) == expected
    assert RandomSearch(stroke=2.0).assumptions(BlackBox(ReferenceTarget(easy_network()))) == []


def parents(searcher: Searcher, fitness: float) -> np.ndarray[Any, Any]:
    frames = searcher.ask(1)
    searcher.tell(frames, np.full((1, frames.shape[1]), fitness))
    return frames[0]


def test_one_plus_one_keeps_a_child_that_is_no_worse() -> None:
    searcher = OnePlusOneEs().searcher(np.full((1, 400), 0.5), ImagePrior((400,), 0, None, None), 0)
    start = parents(searcher, 1.0)
    worse = parents(searcher, 0.0)
    after_worse = searcher.ask(1)[0]
    assert 0 < (worse != start).sum() < 20
    assert (after_worse != start).sum() < 20  # a child of the parent, not of the worse child
    level = parents(searcher, 1.0)
    assert (searcher.ask(1)[0] != level).sum() < 20


def test_one_plus_one_adapts_how_much_it_mutates() -> None:
    def flips(trend: float) -> float:
        searcher = OnePlusOneEs().searcher(np.full((1, 400), 0.5), ImagePrior((400,), 0, None, None), 0)
        last, changes = parents(searcher, 0.0), []
        for generation in range(1, 12):
            child = parents(searcher, trend * generation)
            changes.append((child != last).sum())
            last = child if trend > 0 else last
        return float(changes[-1])

    assert flips(1.0) > 40
    assert flips(-1.0) <= 4


def test_one_plus_one_paints_blobs_where_a_prior_is_on() -> None:
    def touching(blur: float) -> float:
        """Of the inputs that first children light in a dark frame, the share with a lit neighbour."""
        prior = ImagePrior((1, 20, 20), blur, None, None)
        searchers = [OnePlusOneEs().searcher(np.zeros((1, 1, 20, 20)), prior, seed) for seed in range(40)]
        for searcher in searchers:
            parents(searcher, 1.0)
        changed = np.pad(np.stack([parents(searcher, 0.0)[0, 0] for searcher in searchers]), ((0, 0), (1, 1), (1, 1)))
        near = np.sum([np.roll(changed, step, axis) for step in (-1, 1) for axis in (1, 2)], axis=0)
        return float((near[changed > 0] > 0).mean())

    assert touching(blur=0.0) < 0.2
    assert touching(blur=2.0) > 0.6


@needs_cmaes
def test_cma_es_moves_the_rates_it_draws_from() -> None:
    start = np.full((1, 30), 0.5)
    searcher = CmaEs(population=12, sigma=0.3).searcher(start, ImagePrior((30,), 0, None, None), 0)
    for _ in range(60):
        frames = searcher.ask(12)
        searcher.tell(frames, frames[..., :15].sum(2) - frames[..., 15:].sum(2))
    assert searcher.rates is not None
    assert searcher.rates[0, :15].mean() > 0.85
    assert searcher.rates[0, 15:].mean() < 0.15


@needs_cmaes
def test_cma_es_learns_nothing_from_part_of_a_generation() -> None:
    searcher = CmaEs(population=12).searcher(np.full((1, 30), 0.5), ImagePrior((30,), 0, None, None), 0)
    frames = searcher.ask(11)
    searcher.tell(frames, np.arange(11.0)[:, None])
    assert searcher.rates is not None
    np.testing.assert_array_equal(searcher.rates, 0.5)
    np.testing.assert_array_equal(searcher.best[0], frames[10, 0])


def test_a_missing_cma_es_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(cma_es, "import_module", missing)
    with pytest.raises(MissingDependency, match=r"pip install \"bl-neuro\[peers\]\""):
        inverted(CmaEs(queries=16, warm_start=0))


@pytest.mark.parametrize(
    ("peer", "changes", "message"),
    [
        (RandomSearch, {"queries": 0}, "queries: expected a whole number of at least 1"),
        (RandomSearch, {"warm_start": -1}, "warm_start: expected a whole number of at least 0"),
        (RandomSearch, {"warm_start": 0.5}, "warm_start: expected a whole number"),
        (OnePlusOneEs, {"population": 0}, "population: expected a whole number of at least 1"),
        (OnePlusOneEs, {"base_rate": 1.0}, "base_rate: expected between 0 and 1"),
        (OnePlusOneEs, {"probe_densities": (0.5, 0.1)}, "probe_densities: expected two rising values"),
        (CmaEs, {"population": 1}, "population: expected at least 2"),
        (CmaEs, {"sigma": 0.0}, "sigma: expected above 0"),
        (CmaEs, {"probe_blur": -1.0}, "probe_blur: expected 0..1024"),
        (RandomSearch, {"stroke": -1.0}, "stroke: expected 0..1024"),
        (CmaEs, {"blur": -1.0}, "blur: expected at least 0"),
    ],
)
def test_refuses(peer: type[PeerSearch], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        peer(**changes)


@needs_cmaes
def test_cma_es_needs_something_to_search() -> None:
    with pytest.raises(InputError, match="at least 2 inputs"):
        CmaEs().searcher(np.full((1, 1), 0.5), ImagePrior((1,), 0, None, None), 0)


@pytest.mark.parametrize("peer", PEERS)
def test_takes_the_settings_of_another_search(peer: type[PeerSearch]) -> None:
    ours = BrainLeaksV2.for_mnist()
    theirs = peer(**ours.shared_settings())
    assert all(getattr(theirs, name) == value for name, value in ours.shared_settings().items())
    assert {"queries", "warm_start", "pen", "stroke", "jitter", "blur", "window"} <= ours.shared_settings().keys()
