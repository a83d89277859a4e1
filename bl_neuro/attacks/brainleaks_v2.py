"""BrainLeaks v2 as a black-box attack: natural evolution strategies on spike rates, from queries only."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch

from bl_neuro.access import BlackBox
from bl_neuro.arrays import FloatArray
from bl_neuro.attacks.base import Preset, Progress
from bl_neuro.attacks.fitness import SATURATING, centred_hits, centred_ranks, named
from bl_neuro.attacks.informative_sampling import CONTRASTS, Contrast, InformativeSampling
from bl_neuro.attacks.input_form import InputForm, Still, TimeSegments
from bl_neuro.attacks.inversions import Inversions, Status
from bl_neuro.attacks.moving_pattern import MovingPattern
from bl_neuro.attacks.query_search import PatternOracle, QuerySearch, Stopping, keeping
from bl_neuro.attacks.warm_start import affordable_probes, first_rates, probe_weights
from bl_neuro.seeding import stream


@dataclass(frozen=True, kw_only=True)
class BrainLeaksV2(QuerySearch):
    """Searches for input spike rates that the target assigns to a class, using only the answers to queries.

    Rates theta in (0, 1), one per input, are constant over time. A query draws b ~ Bernoulli(theta) and holds it for
    all steps. Queries come in antithetic pairs b = 1[u < theta], b' = 1[u > 1 - theta]. Their answers become weights w
    (centred ranks), and mean_i w_i (b_i - theta) estimates the natural gradient of the expected weight: the Fisher
    matrix of a Bernoulli distribution cancels the denominator of the score. G is four times this estimate; the factor
    belongs to the learning rate. V <- momentum V + (1 - momentum) G; theta <- theta + rate V. With stroke > 0,
    neighbouring pixels share their u, so that G is still an ascent direction but no longer the natural gradient.

    A warm start of random probes, shared by all classes, gives the first rates of every class. Later queries are drawn
    from mixtures of theta with inputs that were assigned to the class, or to other classes, so that their answers carry
    information (see `InformativeSampling`). G is then the gradient for the mixtures, and the objective in the trace is
    that of their samples.

    floor: theta stays in floor..1-floor, lower outside the window. contrast: what queries are mixed with if nearly all
    of them are assigned to their class: "others", inputs of other classes, or "mixed", alternating these with the base
    rates. form: how a pattern b becomes an input, and theta an inversion; see `InputForm`. By default b is a constant
    frame. With another form, theta are the rates of a pattern, and the rates in the trace are the mean frames of its
    inputs. For the other settings see `QuerySearch`.

    The spikes of the inversion are drawn independently in every step, as in a rate code. They are not queried.

    Source: BrainLeaks (arXiv 2402.00906), second attack, described there as black box; Wierstra et al. 2014 (NES).
    GAMIN of Poursiami et al. 2025 (arXiv 2502.05509) is an earlier black-box inversion of spiking networks.
    """

    name: ClassVar[str] = "v2"
    title: ClassVar[str] = "v2"
    ladder_note: ClassVar[str] = (
        "v2 reduces a membrane to scores and spikes to counts before it uses them: these steps are 0 by the attack."
    )
    audits_models: ClassVar[bool] = True

    learning_rate: float = 1.5
    momentum: float = 0.5
    floor: float = 0.02
    contrast: Contrast = "others"
    form: InputForm = field(default_factory=Still)

    @classmethod
    def for_mnist(cls, **changes: Any) -> BrainLeaksV2:
        """Settings for images like MNIST: 28 x 28 pixels with strokes about three pixels wide.

        Keyword arguments in `changes` override them. The settings were chosen on targets with other seeds than in the
        published results, but under the evaluator named for those results. The published runs on scores also use
        jitter=1; when it was chosen, a second evaluator was consulted, and the history does not say which.
        """
        chosen: dict[str, Any] = {
            "warm_start": 2000, "learning_rate": 3.0, "blur": 1.25, "window": 6.0, "base_rate": 0.35,
            "warm_amplitude": 0.35, "pen": 1.4, "stroke": 1.0, "jitter": 2, "contrast": "mixed",
        }  # fmt: skip
        return cls(**{**chosen, **changes})

    @classmethod
    def for_nmnist(cls, **changes: Any) -> BrainLeaksV2:
        """Settings for N-MNIST: similar to those for MNIST, with a picture that moves as in the recordings.

        They were chosen on targets and evaluators with other seeds than in the published results.
        """
        chosen: dict[str, Any] = {
            "queries": 200, "warm_start": 2000, "learning_rate": 3.0, "blur": 1.0, "window": 5.0, "base_rate": 0.35,
            "warm_amplitude": 0.35, "pen": 1.4, "stroke": 1.5, "form": MovingPattern(),
        }  # fmt: skip
        return cls(**{**chosen, **changes})

    @classmethod
    def for_nmnist_still(cls, **changes: Any) -> BrainLeaksV2:
        """Settings for N-MNIST with a still picture and 400 queries per class, to measure the effect of motion."""
        return cls.for_nmnist(**{"queries": 400, "form": TimeSegments(count=1), **changes})

    @classmethod
    def for_events(cls, **changes: Any) -> BrainLeaksV2:
        """Settings for event recordings about which nothing is known except that they show slowly changing images."""
        return cls(**{"blur": 1.0, "stroke": 1.0, "probe_blur": 2.5, "form": TimeSegments(), **changes})

    @classmethod
    def for_gestures(cls, **changes: Any) -> BrainLeaksV2:
        """Settings for DVS128 gestures: those for events, for 128 x 128 pixels. Not tuned, for lack of recordings."""
        return cls.for_events(**{"blur": 4.0, "stroke": 4.0, "probe_blur": 10.0, **changes})

    @classmethod
    def presets(cls) -> dict[str, Preset]:
        """See `Attack.presets`."""
        return {
            "for_mnist": Preset(cls.for_mnist, "images like MNIST's", ("mnist",), (28, 28)),
            "for_nmnist": Preset(cls.for_nmnist, "N-MNIST", ("nmnist",), (34, 34), of_events=True),
            "for_nmnist_still": Preset(
                cls.for_nmnist_still, "N-MNIST, as a picture that stands", image_size=(34, 34), of_events=True
            ),
            "for_events": Preset(cls.for_events, "event recordings of any kind", of_events=True),
            "for_gestures": Preset(cls.for_gestures, "DVS128 gestures", ("dvs_gesture",), (128, 128), of_events=True),
        }

    @classmethod
    def fewest(cls) -> dict[str, int]:
        """See `QuerySearch.fewest`: the warm start may use the whole plan, and queries come in pairs."""
        return {**super().fewest(), "queries": 0, "population": 2}

    def problems(self) -> list[str]:
        """See `AttackWithPriors.problems`."""
        problems = super().problems()
        odd = [name for name in ("queries", "population") if getattr(self, name) % 2]
        rules = [
            (not odd, f"{', '.join(odd)}: expected an even number, since queries come in pairs"),
            ((self.queries, self.warm_start) != (0, 0), "queries and warm_start: expected at least one query"),
            (0 < self.learning_rate < math.inf, f"learning_rate: expected above 0, found {self.learning_rate}"),
            (0 <= self.momentum < 1, f"momentum: expected 0..1, found {self.momentum}"),
            (0 < self.floor < 0.5, f"floor: expected between 0 and 0.5, found {self.floor}"),
            (self.contrast in CONTRASTS, f"contrast: expected one of {', '.join(CONTRASTS)}, found {self.contrast!r}"),
        ]
        return [*problems, *(message for holds, message in rules if not holds)]

    def assumptions(self, box: BlackBox) -> list[str]:
        """See `Attack.assumptions`: the image priors that apply to this box, and the form."""
        prior = self.prior(self.form.pattern_shape(box.input_shape))
        return [*self.image_assumptions(prior), *self.form.assumptions()]

    def settings(self) -> dict[str, Any]:
        """See `Attack.settings`."""
        return {**super().settings(), "form": self.form.settings()}

    def _invert(self, box: BlackBox, classes: list[int], steps: int, seed: int, progress: Progress) -> Inversions:
        search = _Search(self, PatternOracle(box, classes, steps, self.form), stream(seed, "attack v2"))
        generations = -(-self.queries // self.population)
        stopping = Stopping(progress, generations + 1, self.patience)
        with keeping(lambda: search.result(Status.STOPPED, self.name, seed)):
            whole = search.warm_up()
            stopping.after(1)
            for generation in range(generations if stopping.status is None else 0):
                wanted = min(self.population, self.queries - generation * self.population)
                size = search.affordable(wanted)
                whole = whole and size == wanted
                if size < 2:
                    break
                search.generation(size)
                if not stopping.after(generation + 2, search.attained()):
                    break
        return search.result(stopping.status or (Status.COMPLETED if whole else Status.BUDGET_SPENT), self.name, seed)


class _Search:
    """The state of one run: rates (K, *input_shape), their velocity, and the distribution of queries."""

    def __init__(self, plan: BrainLeaksV2, oracle: PatternOracle, rng: np.random.Generator) -> None:
        self.plan, self.oracle, self.rng = plan, oracle, rng
        self.prior = plan.prior(oracle.input_shape)
        self.class_shape = len(oracle.classes), *[1] * len(oracle.input_shape)
        """The shape of one value for each class, which broadcasts over inputs."""
        base = max(plan.base_rate, plan.floor) * self.prior.mask
        self.lowest = plan.floor * self.prior.mask
        self.rates: FloatArray = np.tile(base, self.class_shape)
        self.velocity: FloatArray = np.zeros_like(self.rates)
        self.sampling = InformativeSampling(oracle.classes, base, plan.contrast, rng)
        self.course = oracle.course()
        self.fitness: FloatArray = np.zeros(len(oracle.classes))
        """Mean fitness of the last queries of each class, (K,)."""

    def affordable(self, wanted: int) -> int:
        """The largest even number of queries per class, at most `wanted`, that the budget allows."""
        remaining = self.oracle.remaining
        most = wanted if remaining is None else min(wanted, remaining // len(self.oracle.classes))
        return most - most % 2

    def warm_up(self) -> bool:
        """Sets the first rates of every class from shared random probes. Returns whether all were run as planned."""
        plan, classes = self.plan, self.oracle.classes
        probes = affordable_probes(self.oracle.remaining, plan.warm_start, plan.queries * len(classes))
        if probes == 0:
            return plan.warm_start == 0
        frames = plan.probes(probes, self.prior, self.rng)
        # Nothing shows that a label was given for want of spikes: the first probe is blank, and tells how that looks.
        blank = self.oracle.reveals == "label"
        frames[:1] *= not blank
        evidences = self.oracle.evidence(frames)
        weights = probe_weights(evidences, classes)
        self.rates = np.clip(
            first_rates(frames, weights, self.prior, plan.base_rate, plan.warm_amplitude), self.lowest, 1 - plan.floor
        )
        names = named(evidences)
        self.sampling.learn(frames[blank:], names[blank:])
        if blank:
            self.sampling.named_by_silence(int(names[0]))
        self.remember(evidences[:, classes].mean(axis=0))
        return probes == plan.warm_start

    def generation(self, size: int) -> None:
        """Runs one step of the search with `size` queries per class."""
        plan, classes = self.plan, self.oracle.classes
        drawn_from = self.sampling.drawn_from(self.rates, size // 2)
        uniform = self.prior.uniform((size // 2, len(classes)), plan.stroke, self.rng)
        pairs = np.stack([uniform < drawn_from, uniform > 1 - drawn_from]).astype(np.float64)
        frames = pairs.reshape(size, *self.rates.shape)
        evidences = self.oracle.evidence(self.jittered(frames.reshape(-1, *self.oracle.input_shape)))
        fitness, names = self.oracle.own(evidences), named(evidences)
        hits = (names.reshape(size, -1) == classes).mean(axis=0)
        weights = centred_hits(fitness) if self.oracle.reveals == "label" else centred_ranks(fitness)
        off = (pairs - drawn_from).reshape(frames.shape)
        gradient = 4 * (weights.reshape(size, *self.class_shape) * off).mean(axis=0)
        # While nothing names the class, silence beats every input that names another one: look elsewhere, not dimmer.
        gradient = gradient - self.mean_pixel(gradient) * (hits == 0).reshape(self.class_shape)
        gradient = self.prior.shape(gradient)
        self.velocity = plan.momentum * self.velocity + (1 - plan.momentum) * gradient
        self.rates = np.clip(self.rates + plan.learning_rate * self.velocity, self.lowest, 1 - plan.floor)
        self.sampling.learn(frames.reshape(-1, *self.oracle.input_shape), names)
        self.sampling.adapt(hits, saturates=self.oracle.reveals in SATURATING)
        self.remember(fitness.mean(axis=0))

    def attained(self) -> FloatArray:
        """The progress of each class, (K,): the fitness of its queries and how far they may be drawn from the rates."""
        return np.asarray(self.fitness + self.sampling.away)

    def jittered(self, frames: FloatArray) -> FloatArray:
        """Frames (2 x pairs, *input_shape); both frames of a pair are shifted alike, so that their answers compare."""
        return self.prior.shifted(
            frames, np.tile(self.prior.shifts(len(frames) // 2, self.plan.jitter, self.rng), (2, 1))
        )

    def mean_pixel(self, directions: FloatArray) -> FloatArray:
        """The mean change in brightness of each direction (K, *input_shape), shaped to broadcast."""
        return np.asarray(directions.reshape(len(directions), -1).mean(axis=1).reshape(self.class_shape))

    def remember(self, fitness: FloatArray) -> None:
        """Adds an entry to the trace."""
        self.fitness = fitness
        self.course.add(fitness, self.oracle.form.images(self.rates, self.oracle.steps))

    def result(self, status: Status, name: str, seed: int) -> Inversions:
        """The inversions: Bernoulli samples of the form's rates, independent in every step."""
        made = self.oracle.form.rates(self.rates, self.oracle.steps)
        inputs = made.shape if self.oracle.form.still else made.shape[1:]
        spikes = self.rng.random((self.oracle.steps, *inputs)) < made
        return self.course.inversions(name, seed, status, torch.from_numpy(spikes), torch.from_numpy(made).float())
