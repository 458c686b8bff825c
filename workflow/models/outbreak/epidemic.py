"""A stochastic SIR epidemic in a closed school, observed once a day: python epidemic.py --params F --seed N --out F.

It stands for a program of the user's own, and so knows nothing of the package: it reads the parameters from a JSON
file, draws one epidemic, and writes a CSV file of the pupils in bed, day by day. The model is described in README.md.
"""

from __future__ import annotations

import argparse
import json
import math
import random

PUPILS = 763
DAYS = 14
PARAMETERS = ("beta", "gamma", "initial_infected", "overdispersion")


def read_parameters(path: str) -> dict[str, float]:
    """Parameters by name, checked.

    Raises:
        ValueError: for a file that is not a JSON object of exactly the four parameters, each a number in its range.
    """
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib would add a tenth to the run time
            parameters = json.load(file, parse_int=float)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(parameters, dict) or set(parameters) != set(PARAMETERS):
        got = sorted(parameters) if isinstance(parameters, dict) else type(parameters).__name__
        raise ValueError(f"{path}: takes an object with the keys {', '.join(PARAMETERS)}; got {got}")
    for name, value in parameters.items():
        if not isinstance(value, float) or not math.isfinite(value):
            raise ValueError(f"{path}: {name} takes a finite number, got {value!r}")
    for name, in_range, takes in (
        ("beta", parameters["beta"] >= 0, "at least 0"),
        ("gamma", parameters["gamma"] > 0, "above 0"),
        ("initial_infected", 0 <= parameters["initial_infected"] <= PUPILS, f"between 0 and {PUPILS}"),
        ("overdispersion", parameters["overdispersion"] >= 0, "at least 0"),
    ):
        if not in_range:
            raise ValueError(f"{path}: {name} takes a number {takes}, got {parameters[name]!r}")
    return parameters


def simulate_infected(beta: float, gamma: float, initial_infected: float, rng: random.Random) -> list[int]:
    """Number of infected pupils at days 0, 1, ..., DAYS - 1, by Gillespie's direct method.

    Infections S -> I come at rate beta S I / PUPILS and recoveries I -> R at rate gamma I. The epidemic starts with
    initial_infected pupils; a fraction is rounded up with that probability, so that its mean is exact.

    Reference: Gillespie (1977), doi:10.1021/j100540a008.
    """
    infected = int(initial_infected) + (rng.random() < initial_infected % 1)
    susceptible = PUPILS - infected
    series = []
    time = 0.0
    while infected and len(series) < DAYS:
        infection = beta * susceptible * infected / PUPILS
        total = infection + gamma * infected
        time += rng.expovariate(total)
        while len(series) < DAYS and len(series) < time:
            series.append(infected)
        if rng.random() * total < infection:
            susceptible -= 1
            infected += 1
        else:
            infected -= 1
    return series + [0] * (DAYS - len(series))


def observe(mean: float, overdispersion: float, rng: random.Random) -> int:
    """One negative-binomial count, at most PUPILS: variance mean + overdispersion mean^2 where the limit is far.

    It is a Poisson count whose rate is the mean times a gamma variate of mean 1 and variance overdispersion; the
    Poisson count is the number of arrivals, one per unit of time on average, before that rate.
    """
    rate = mean * rng.gammavariate(1 / overdispersion, overdispersion) if overdispersion else mean
    count = 0
    arrival = rng.expovariate(1)
    while arrival < rate and count < PUPILS:
        count += 1
        arrival += rng.expovariate(1)
    return count


def main() -> None:
    """Draws one epidemic and writes it; arguments or parameters that do not fit end it with exit code 2."""
    parser = argparse.ArgumentParser(description="A stochastic SIR epidemic in a school, observed once a day.")
    parser.add_argument("--params", required=True, help=f"JSON file of {', '.join(PARAMETERS)}")
    parser.add_argument("--seed", required=True, type=int, help="integer; the same seed gives the same epidemic")
    parser.add_argument("--out", required=True, help="CSV file to write: day,in_bed")
    arguments = parser.parse_args()
    try:
        parameters = read_parameters(arguments.params)
    except ValueError as error:
        parser.error(str(error))
    rng = random.Random(arguments.seed)
    overdispersion = parameters.pop("overdispersion")
    infected = simulate_infected(**parameters, rng=rng)
    in_bed = [observe(mean, overdispersion, rng) for mean in infected]
    with open(arguments.out, "w", encoding="utf-8") as file:  # noqa: PTH123 - as above
        file.write("day,in_bed\n")
        file.writelines(f"{day},{count}\n" for day, count in enumerate(in_bed))


if __name__ == "__main__":
    main()
