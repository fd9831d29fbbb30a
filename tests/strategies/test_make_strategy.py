"""Strategies by name: what is found, and what is refused."""

import importlib
import subprocess
import sys

import pytest

import strategies
from search_space import InputError
from search_space.problems import epistatic
from strategies import make_strategy, strategy_names, strategy_settings

PROBLEM = epistatic()
MINE = '''
"""One file is one strategy."""

from dataclasses import dataclass

from search_space import checks


@dataclass
class Strategy:
    space: object
    objectives: object
    step: int = 1

    def __post_init__(self):
        checks.integer("my_strategy.step", self.step, least=1)
        self.best = None

    def propose(self, rng):
        if self.best is None:
            return self.space.sample(rng)
        candidate = self.best.candidate
        for _ in range(self.step):
            candidate = self.space.mutate(candidate, rng)
        return candidate

    def learn(self, trial):
        if self.best is None or trial.losses < self.best.losses:
            self.best = trial
'''


@pytest.fixture
def extension(tmp_path, monkeypatch):
    room = tmp_path / "strategies"
    room.mkdir()
    monkeypatch.setattr(strategies, "__path__", list(strategies.__path__))
    monkeypatch.setenv("SENET_NAS_EXTENSIONS", str(tmp_path))
    yield room
    for name in ("my_strategy", "hollow"):
        sys.modules.pop(f"strategies.{name}", None)


def test_a_file_of_ones_own_is_a_strategy(extension):
    (extension / "my_strategy.py").write_text(MINE)
    assert "my_strategy" in strategy_names()
    assert strategy_settings("my_strategy") == {"step": 1}
    strategy = make_strategy("my_strategy", PROBLEM.space, PROBLEM.objectives, step=2)
    asked = []
    for _ in range(50):
        asked.append(strategy.ask())
        strategy.tell(asked[-1], PROBLEM.score(asked[-1]))
    assert len(set(asked)) == 50
    with pytest.raises(InputError, match=r"my_strategy: setting 'steps'.*did you mean 'step'"):
        make_strategy("my_strategy", PROBLEM.space, PROBLEM.objectives, steps=2)


def test_a_strategy_without_settings_says_so(extension):
    (extension / "my_strategy.py").write_text(MINE.replace("    step: int = 1\n", ""))
    with pytest.raises(InputError, match="my_strategy has no settings, so not 'step'"):
        make_strategy("my_strategy", PROBLEM.space, PROBLEM.objectives, step=2)


def test_a_file_without_a_strategy_is_named(extension):
    (extension / "hollow.py").write_text("")
    with pytest.raises(InputError, match=r"'hollow'.*hollow\.py has no class `Strategy`"):
        make_strategy("hollow", PROBLEM.space, PROBLEM.objectives)


def test_the_names():
    assert {"nsga2", "random_search", "regularized_evolution"} <= set(strategy_names())
    assert not {"core", "ask_tell", "selection"} & set(strategy_names())


@pytest.mark.parametrize("name", strategy_names())
def test_a_strategy_cites_its_source_and_explains_every_setting(name):
    text = importlib.import_module(f"strategies.{name}").Strategy.__doc__
    assert any(year in text for year in map(str, range(1950, 2100)))
    assert all(f"{setting}:" in text for setting in strategy_settings(name))


def attempt(name="nsga2", objectives=None, **arguments):
    make_strategy(name, PROBLEM.space, objectives or PROBLEM.objectives, **arguments)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ({"name": "nsga3"}, "strategy 'nsga3'.*did you mean 'nsga2'.*allowed: .*nsga2, optuna"),
        ({"name": "core"}, "strategy 'core' is not known"),
        ({"population": 3}, "nsga2: setting 'population'.*allowed: population_size, cross"),
        ({"name": "random_search", "bins": 0}, "random_search.bins must be a whole number of at l"),
        (
            {"name": "random_search", "uniform_over": "macs", "known": {"params": sum}},
            r"random_search.uniform_over: 'macs' can't be computed.*\(known: params\)",
        ),
        ({"name": "surrogate", "initial": 1}, "surrogate.initial must be a whole number of at le"),
        ({"name": "surrogate", "pool": "all"}, "surrogate.pool must be a whole number of at le"),
        ({"name": "surrogate", "ledger": None}, "surrogate: setting 'ledger'.*allowed: initial"),
        (
            {"name": "policy_gradient", "target": 3e8, "cost": "accuracy"},
            r"needs one objective to maximise.*to minimise: macs; cost: 'accuracy'\)",
        ),
        ({"name": "policy_gradient", "target": 0}, "policy_gradient.target must be a number of"),
        (
            {"name": "optuna_sampler", "sampler": "TPE"},
            "optuna_sampler.sampler 'TPE' is not known.*TPESampler",
        ),
        ({"population_size": 1}, "nsga2.population_size must be a whole number of at least 2"),
        ({"population_size": 2.5}, "nsga2.population_size must be a whole number"),
        ({"crossover_probability": 1.5}, "crossover_probability must be a number from 0 to 1"),
        ({"crossover_probability": "high"}, "crossover_probability must be a number"),
        ({"mutations": -1}, "nsga2.mutations must be a number of at least 0"),
        (
            {"name": "regularized_evolution", "sample_size": 0},
            "regularized_evolution.sample_size must be a whole number of at least 1",
        ),
        ({"objectives": {"macs": "minimise"}}, "objectives.macs.*'minimise'.*allowed: max, min"),
        ({"objectives": {"macs": None}}, "objectives.macs.*allowed: max, min"),
        ({"objectives": ["macs"]}, "objectives must map at least one name to max or min"),
        ({"limits": {"macs": 3e8}}, "limits.macs: no function in `known`.*known: none"),
        ({"known": {"macs": sum}, "limits": {"macs": "low"}}, "limits.macs must be a number or"),
        ({"known": {"macs": sum}, "limits": {"macs": (3, 2)}}, "limits.macs must be a number or"),
        ({"known": {"macs": sum}, "limits": {"macs": (1, 2, 3)}}, "limits.macs must be a number"),
        ({"known": {"macs": sum}, "limits": {"macs": True}}, "limits.macs must be a number or"),
        ({"seed": -1}, "seed must be a whole number of at least 0, not -1"),
        ({"seed": None}, "seed must be a whole number"),
    ],
)
def test_mistakes_are_named_with_what_is_allowed(mistake, message):
    with pytest.raises(InputError, match=message) as error:
        attempt(**mistake)
    assert "\n" not in str(error.value)


def test_no_objectives_at_all():
    with pytest.raises(InputError, match="objectives must map at least one name"):
        make_strategy("nsga2", PROBLEM.space, {})


def test_neither_networks_nor_workers_are_imported():
    program = """
import sys
import search_space, search_space.problems, search_space.staged, strategies
problem = search_space.problems.conditional()
for name in strategies.strategy_names():
    strategies.make_strategy(name, problem.space, problem.objectives).ask()
print({"torch", "ray", "nni", "senet_nas"} & set(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_random_search_and_every_import_do_without_moocore():
    program = """
import importlib, sys
sys.modules["moocore"] = None
import search_space.problems, strategies
for name in strategies.strategy_names():
    importlib.import_module(f"strategies.{name}")
problem = search_space.problems.conditional()
search = strategies.make_strategy("random_search", problem.space, problem.objectives)
for _ in range(9):
    candidate = search.ask()
    search.tell(candidate, problem.score(candidate))
print(len(search.trials))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "9"
