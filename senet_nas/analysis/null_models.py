"""What a front is to be held against: its own networks with SE nowhere, everywhere and late only,
the trials that are such networks anyway, and random search at equal budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from search_space import SE, Candidate, SearchSpace, structural_hash
from senet_nas.analysis.front import Front, hypervolume_of
from senet_nas.analysis.null_trials import NullTrials
from senet_nas.analysis.run_view import RunView
from senet_nas.analysis.se_places import SEPlace, has_se, se_places

KINDS = ("none", "everywhere", "late")
KIND_LABELS = {"none": "no SE", "everywhere": "SE everywhere", "late": "SE late only"}
ITSELF = "this point itself"


@dataclass(frozen=True)
class Nearest:
    """The trained network of the same kind that differs in the fewest decisions besides SE's."""

    trial: int
    decisions: int
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Twin:
    """A point's network but for its SE. of: the point's trial. costs: counted. trained: where its
    scores are from: `this point itself`, `trial 12`, `null models`; None where it isn't trained."""

    of: int
    kind: str
    candidate: Candidate
    architecture: str
    costs: Mapping[str, float]
    trained: str | None = None
    scores: Mapping[str, float] | None = None
    nearest: Nearest | None = None

    @property
    def is_point(self) -> bool:
        """Whether the point is such a network itself."""
        return self.trained == ITSELF

    @property
    def all_scores(self) -> dict[str, float]:
        """What is known of it: counted costs, and where it is trained its scores."""
        return {**self.costs, **(self.scores or {})}


@dataclass(frozen=True)
class KindVolume:
    """hypervolume: of all networks of a kind that have scores, trials and trained twins, to the
    front's reference point. networks: how many these are."""

    hypervolume: float
    networks: int


@dataclass(frozen=True)
class NullModels:
    """twins: of each point of the front. in_trials: trial numbers of each kind, among the trials
    that are comparable. volumes: of each kind. fault: why there are none."""

    twins: tuple[Twin, ...] = ()
    in_trials: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    volumes: Mapping[str, KindVolume] = field(default_factory=dict)
    fault: str | None = None

    def to_data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        data: dict[str, Any] = {
            "twins": [asdict(twin) | {"candidate": list(twin.candidate)} for twin in self.twins],
            "in_trials": {kind: list(numbers) for kind, numbers in self.in_trials.items()},
            "hypervolumes": {kind: asdict(volume) for kind, volume in self.volumes.items()},
        }
        return data if self.fault is None else data | {"fault": self.fault}

    def untrained(self) -> list[Twin]:
        """Those that nothing is known of, each network once."""
        return list({t.architecture: t for t in self.twins if t.trained is None}.values())


def null_models(view: RunView, front: Front) -> NullModels:
    """The null models of a run's front; none, with the reason, where its space can't be read or
    has no SE to choose."""
    if view.fault is not None:
        return NullModels(fault=view.fault)
    places = se_places(view.space, (record.candidate for record in view.comparable))
    if not places:
        return NullModels(fault=f"{view.space.name} has no decision about SE")
    kinds = {r.number: kind_of(view.space, places, r.candidate) for r in view.comparable}
    in_trials = {kind: tuple(n for n, k in kinds.items() if k == kind) for kind in KINDS}
    known = {record.architecture: record for record in reversed(view.comparable)}
    trained_apart = NullTrials(view.folder).scores()
    twins = []
    for point in front.points:
        for kind in KINDS:
            candidate = variant(view.space, places, point.candidate, kind)
            if candidate is None:
                continue
            architecture = structural_hash(view.build(candidate))
            trained, scores = None, None
            if architecture == point.architecture:
                trained, scores = ITSELF, point.scores
            elif architecture in known:
                trained = f"trial {known[architecture].number}"
                scores = known[architecture].scores
            elif architecture in trained_apart:
                trained, scores = "null models", trained_apart[architecture]
            nearest = None
            if trained is None:
                nearest = _nearest(view, places, candidate, in_trials[kind])
            costs = view.costs(candidate)
            twins.append(
                Twin(point.number, kind, candidate, architecture, costs, trained, scores, nearest)
            )
    volumes = {kind: _volume(view, front, kind, twins, in_trials[kind]) for kind in KINDS}
    return NullModels(tuple(twins), in_trials, volumes)


def _volume(
    view: RunView, front: Front, kind: str, twins: Sequence[Twin], numbers: Sequence[int]
) -> KindVolume:
    """Of networks that have a score for each objective."""
    known = {r.architecture: r.scores or {} for r in view.comparable if r.number in set(numbers)}
    known |= {t.architecture: t.all_scores for t in twins if t.kind == kind and t.scores}
    whole = [scores for scores in known.values() if front.objectives.keys() <= scores.keys()]
    return KindVolume(hypervolume_of(whole, front.objectives, front.reference), len(whole))


def kind_of(space: SearchSpace, places: Sequence[SEPlace], candidate: Candidate) -> str | None:
    """Which null model a candidate is, None where it is none."""
    active = [place for place in places if space.is_active(candidate, place.position)]
    standing = [has_se(space, candidate, place.position) for place in active]
    if not any(standing):
        return "none"
    if all(standing):
        return "everywhere"
    late = [place.late for place in active]
    return "late" if standing == late else None


def variant(
    space: SearchSpace, places: Sequence[SEPlace], candidate: Candidate, kind: str
) -> Candidate | None:
    """The candidate with SE nowhere, everywhere or late only; None where the space doesn't allow
    it. Where SE joins, it is the candidate's own most frequent one that the place allows, else the
    place's first."""
    chosen = Counter(
        space.decisions[place.position].options[candidate[place.position]]
        for place in places
        if has_se(space, candidate, place.position)
    )
    liked = [option for option, _ in chosen.most_common()]
    numbers = list(candidate)
    for place in places:
        if not space.is_active(candidate, place.position):
            continue
        options = space.decisions[place.position].options
        stands = kind == "everywhere" or (kind == "late" and place.late)
        if not stands:
            if None not in options:
                return None
            numbers[place.position] = options.index(None)
        elif not has_se(space, candidate, place.position):
            own = [option for option in options if isinstance(option, SE)]
            numbers[place.position] = options.index(next((s for s in liked if s in own), own[0]))
    return space.normalise(numbers)


def _nearest(
    view: RunView, places: Sequence[SEPlace], candidate: Candidate, numbers: Sequence[int]
) -> Nearest | None:
    besides = set(range(len(candidate))) - {place.position for place in places}
    records = {record.number: record for record in view.comparable}
    distances = [
        (sum(candidate[p] != records[n].candidate[p] for p in besides), n) for n in numbers
    ]
    if not distances:
        return None
    distance, number = min(distances)
    return Nearest(number, distance, records[number].scores or {})


def training_command(directory: Path | str) -> str:
    """What trains the null models that aren't trained yet."""
    import shlex

    return f"senet-nas front {shlex.quote(str(directory))} --train-null"
