"""The outbreak model: its program against known laws of the SIR epidemic, and the model file against the data."""

from __future__ import annotations

import importlib.util
import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize, stats
from scipy.integrate import solve_ivp

from cinnflow.simulation.model_file import Model, load_model

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "workflow/models/outbreak"
OBSERVED = ROOT / "data/influenza_school_1978.csv"
PARAMETERS = {"beta": 1.9, "gamma": 0.5, "initial_infected": 3, "overdispersion": 0.05}


@pytest.fixture
def epidemic():
    """The program as a module, a fresh one each time, since tests change its constants."""
    spec = importlib.util.spec_from_file_location("epidemic", FOLDER / "epidemic.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(FOLDER / "model.py")


def run(folder: Path, parameters: object, seed: int = 7) -> subprocess.CompletedProcess[str]:
    """Runs the program on a JSON file of the parameters, or on the text itself."""
    params = folder / "params.json"
    params.write_text(parameters if isinstance(parameters, str) else json.dumps(parameters))
    program = [sys.executable, "-I", "-S", FOLDER / "epidemic.py"]
    arguments = ["--params", params, "--seed", str(seed), "--out", folder / "cases.csv"]
    return subprocess.run([*program, *arguments], capture_output=True, text=True, check=False)


def deterministic_sir(beta: float, gamma: float, infected: float, pupils: float, days: int = 14) -> np.ndarray:
    """Number infected at days 0, 1, ... in the limit of a large population."""

    def change(_: float, state: np.ndarray) -> list[float]:
        infection = beta * state[0] * state[1] / pupils
        return [-infection, infection - gamma * state[1]]

    solution = solve_ivp(change, (0, days - 1), [pupils - infected, infected], t_eval=np.arange(days), rtol=1e-8)
    return solution.y[1]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    outputs = []
    for seed in (7, 7, 8):
        assert run(tmp_path, PARAMETERS, seed).returncode == 0
        outputs.append((tmp_path / "cases.csv").read_bytes())
    assert outputs[0] == outputs[1] != outputs[2]


def test_the_output_is_a_count_for_each_day(tmp_path):
    assert run(tmp_path, PARAMETERS).stderr == ""
    header, *rows = (tmp_path / "cases.csv").read_text().splitlines()
    assert header == "day,in_bed"
    days, counts = zip(*(map(int, row.split(",")) for row in rows), strict=True)
    assert days == tuple(range(14))
    assert all(0 <= count <= 763 for count in counts)


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ("{", "JSON"),
        ([1, 2], "list"),
        ({"beta": 1.9}, "initial_infected"),
        (PARAMETERS | {"delta": 1}, "delta"),
        (PARAMETERS | {"beta": "1.9"}, "'1.9'"),
        (PARAMETERS | {"beta": True}, "True"),
        (PARAMETERS | {"beta": float("nan")}, "nan"),
        (PARAMETERS | {"beta": 10**400}, "inf"),
        (PARAMETERS | {"beta": -1}, "beta takes a number at least 0"),
        (PARAMETERS | {"gamma": 0}, "gamma takes a number above 0"),
        (PARAMETERS | {"initial_infected": 764}, "between 0 and 763"),
        (PARAMETERS | {"overdispersion": -0.1}, "overdispersion takes a number at least 0"),
    ],
)
def test_bad_parameters_end_with_exit_code_2_and_a_reason(tmp_path, parameters, named):
    done = run(tmp_path, parameters)
    assert done.returncode == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "cases.csv").exists()


@pytest.mark.parametrize("arguments", [["--seed", "7"], ["--params", "none.json", "--seed", "7", "--out", "cases.csv"]])
def test_a_missing_argument_or_file_ends_with_exit_code_2(tmp_path, arguments):
    program = [sys.executable, "-I", "-S", FOLDER / "epidemic.py", *arguments]
    assert subprocess.run(program, cwd=tmp_path, capture_output=True, check=False).returncode == 2


def test_without_transmission_the_infected_decay_binomially(epidemic):
    gamma, start, repetitions = 0.4, 300, 400
    rng = random.Random(1)
    infected = np.array([epidemic.simulate_infected(0.0, gamma, start, rng) for _ in range(repetitions)])
    survival = np.exp(-gamma * np.arange(14))
    sd = np.sqrt(start * survival * (1 - survival))
    np.testing.assert_array_equal(infected[:, 0], start)
    assert np.all(np.abs(infected.mean(0) - start * survival)[1:] < 4.5 * sd[1:] / np.sqrt(repetitions))
    np.testing.assert_allclose(infected.std(0)[1:], sd[1:], rtol=4.5 / np.sqrt(2 * repetitions))


def test_a_large_epidemic_follows_the_differential_equations(epidemic):
    epidemic.PUPILS = 40_000
    beta, gamma, start = 1.7, 0.45, 400
    rng = random.Random(2)
    infected = np.mean([epidemic.simulate_infected(beta, gamma, start, rng) for _ in range(8)], axis=0)
    # Fluctuations are of the order of the square root of the population (Kurtz 1970).
    np.testing.assert_allclose(infected, deterministic_sir(beta, gamma, start, 40_000), atol=2.5 * np.sqrt(40_000))


def test_the_final_size_satisfies_its_equation(epidemic):
    epidemic.DAYS = 100
    beta, gamma, start, pupils = 1.2, 0.6, 20, 763
    rng = random.Random(3)
    # gamma times the days of infection has the mean of the number ever infected; daily sums stand for the integral.
    sizes = [gamma * sum(epidemic.simulate_infected(beta, gamma, start, rng)) for _ in range(300)]
    left = optimize.brentq(lambda s: s - (pupils - start) / pupils * np.exp(-beta / gamma * (1 - s)), 0, 0.5)
    # Half of the first day's value is missing from the trapezoid rule, and the mean differs by O(1) from the limit.
    assert np.mean(sizes) - gamma * start / 2 == pytest.approx(pupils * (1 - left), rel=0.02)


def test_the_chance_of_dying_out_is_that_of_the_branching_process(epidemic):
    beta, gamma, repetitions = 1.5, 0.5, 1500
    rng = random.Random(4)
    died = [max(epidemic.simulate_infected(beta, gamma, 1, rng)) < 25 for _ in range(repetitions)]
    chance = gamma / beta
    assert np.mean(died) == pytest.approx(chance, abs=4 * np.sqrt(chance * (1 - chance) / repetitions))


def test_a_fraction_of_initial_infected_is_kept_in_the_mean(epidemic):
    rng = random.Random(5)
    starts = [epidemic.simulate_infected(0.0, 1.0, 2.3, rng)[0] for _ in range(4000)]
    assert set(starts) == {2, 3}
    assert np.mean(starts) == pytest.approx(2.3, abs=4 * np.sqrt(0.21 / 4000))


@pytest.mark.parametrize(("mean", "overdispersion"), [(4, 0.5), (60, 0.1), (60, 0.0)])
def test_counts_are_negative_binomial(epidemic, mean, overdispersion):
    rng = random.Random(6)
    counts = np.array([epidemic.observe(mean, overdispersion, rng) for _ in range(4000)])
    size = 1 / overdispersion if overdispersion else np.inf
    law = stats.nbinom(size, size / (size + mean)) if overdispersion else stats.poisson(mean)
    assert law.var() == pytest.approx(mean + overdispersion * mean**2)
    edges = np.unique(law.ppf(np.linspace(0, 1, 11)[1:-1]))
    observed = np.histogram(counts, [-np.inf, *(edges + 0.5), np.inf])[0]
    expected = np.diff([0, *law.cdf(edges), 1]) * len(counts)
    assert stats.chisquare(observed, expected).pvalue > 1e-3
    assert counts.var() == pytest.approx(law.var(), rel=0.1)


def test_counts_stop_at_the_number_of_pupils(epidemic):
    rng = random.Random(7)
    counts = np.array([epidemic.observe(600, 0.2, rng) for _ in range(2000)])
    size = 5
    beyond = stats.nbinom(size, size / (size + 600)).sf(762)
    assert counts.max() == 763
    assert np.mean(counts == 763) == pytest.approx(beyond, abs=4 * np.sqrt(beyond * (1 - beyond) / 2000))
    assert epidemic.observe(0, 0.2, rng) == 0


def test_the_models_command_runs_the_program(model, tmp_path):
    params, out = tmp_path / "params.json", tmp_path / "cases.csv"
    theta = model.generative.draw(seed=1)
    params.write_text(json.dumps(dict(zip(model.generative.prior.names, theta, strict=True))))
    values = {"params": params, "seed": 1, "out": out}
    command = [part.format(**values) for part in model.generative.simulator.command]
    subprocess.run(command, cwd=tmp_path, check=True)
    read = model.generative.simulator.read(out)
    assert {name: array.shape for name, array in read.items()} == {"in_bed": (14,)}


def test_the_observation_is_the_published_series(model):
    in_bed = model.read_observation(OBSERVED)["in_bed"]
    np.testing.assert_array_equal(in_bed, [3, 8, 26, 76, 225, 298, 258, 233, 189, 128, 68, 29, 14, 4])
    dates = [line.split(",")[0] for line in OBSERVED.read_text().splitlines() if line[0].isdigit()]
    np.testing.assert_array_equal(np.array(dates, "M8[D]"), np.arange("1978-01-22", "1978-02-05", dtype="M8[D]"))


@pytest.mark.parametrize("text", ["day,cases\n0,3\n", "day,in_bed\n0\n", "day,in_bed\n0,many\n"])
def test_a_malformed_file_is_refused(model, tmp_path, text):
    path = tmp_path / "cases.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match="column in_bed"):
        model.read_observation(path)


def test_the_prior_is_what_the_readme_says(model):
    theta = model.generative.prior(4000, np.random.default_rng(8))
    stated = {}
    for line in (FOLDER / "README.md").read_text().splitlines():
        cells = [cell.strip().strip("`") for cell in line.split("|")[1:-1]]
        if len(cells) == 5 and cells[0] in PARAMETERS:
            stated[cells[0]] = [float(cells[2]), *map(float, cells[3].split("–"))]
    assert list(stated) == model.generative.prior.names
    np.testing.assert_allclose(np.quantile(theta, [0.5, 0.025, 0.975], axis=0).T, list(stated.values()), rtol=0.12)
    assert np.all(model.generative.prior.lower == 0)


def test_the_prior_covers_the_real_epidemic(model, epidemic):
    rng, counts = random.Random(9), []
    for beta, gamma, start, overdispersion in model.generative.prior(500, np.random.default_rng(9)):
        infected = epidemic.simulate_infected(beta, gamma, start, rng)
        counts.append([epidemic.observe(mean, overdispersion, rng) for mean in infected])
    percentile = np.mean(counts < model.read_observation(OBSERVED)["in_bed"], axis=0)
    assert np.all((percentile > 0.1) & (percentile < 0.9))
    assert np.mean(np.max(counts, axis=1) > 50) > 0.7


def test_derived_and_published_quantities_have_the_same_names(model):
    derived = model.derived_quantities(np.array([[1.8, 0.5, 3, 0.1], [0.9, 0.3, 3, 0.1]]))
    np.testing.assert_allclose(derived["R0"], [3.6, 3.0])
    np.testing.assert_allclose(derived["infectious_period"], [2.0, 10 / 3])
    assert {entry["quantity"] for entry in model.published} == set(derived)


def test_our_least_squares_fit_gives_the_published_numbers(model):
    in_bed = model.read_observation(OBSERVED)["in_bed"]
    fit = optimize.least_squares(lambda p: deterministic_sir(*np.exp(p), 763) - in_bed, np.log([1.7, 0.45, 3]))
    beta, gamma, _ = np.exp(fit.x)
    ours = {entry["quantity"]: entry["value"] for entry in model.published if "our own" in entry["source"]}
    assert ours == {"R0": round(beta / gamma, 2), "infectious_period": round(1 / gamma, 2)}
