"""How a study was done, in a paragraph that may be copied into a paper."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SUMMARIES = {
    "deep_set": "the summaries of a deep set",
    "set_transformer": "the summaries of a set transformer",
    "time_series": "the summaries of a convolutional and recurrent network",
    "none": "the data as they are",
}
_REGIMES = {
    "rounds": "trained after each round on all simulations so far, each time from where it was",
    "offline": "trained on all of them",
    "online": "trained on fresh simulations for every update",
    "replay": "trained on a buffer of the latest simulations",
}
_COUPLINGS = {kind: f"{kind} coupling layers" for kind in ("affine", "spline", "interleaved")} | {
    None: "coupling layers, affine or for a single parameter splines,"
}


def methods(config: Mapping[str, Any], usable: Mapping[str, int]) -> str:
    """Simulations, networks and draws of a study in a few sentences.

    Args:
        config: the whole configuration, defaults included.
        usable: simulations that succeeded, by split.
    """
    training, network, posterior = config["training"], config["network"], config["posterior"]
    test, trained = usable.get("test", 0), [count for split, count in usable.items() if split != "test"]
    rounds = f" in {len(trained)} rounds" if len(trained) > 1 else ""
    proposal = config["simulations"].get("proposal")
    made = "were made elsewhere" if config["simulations"]["source"] else "were run with parameters from the prior"
    regime = _REGIMES[training["regime"]]
    if proposal == "truncated":
        made += f", after the first round truncated to the posterior of {config['simulations']['observation']} as seen "
        made += "by the fit before (Deistler et al. 2022, arXiv:2210.04815)"
        regime = "trained anew after each round on all simulations within that region"
    if trained:
        simulated = (
            f"{sum(trained) + test:,} simulations {made}: {sum(trained):,}{rounds} to train on, and {test:,} held"
        )
    else:
        simulated = f"{test:,} simulations {made} and held"
    members = training["ensemble"]
    posterior_is = f"an even mixture of {members} networks, each" if members > 1 else "that of"
    summary = _SUMMARIES.get(network["summary"]["type"], f"the summaries of {network['summary']['type']}")
    inference = network["inference"]
    return (
        f"{simulated} out for the checks. The amortized posterior is {posterior_is} a conditional invertible network "
        f"of {inference['num_coupling_layers']} {_COUPLINGS[inference['coupling']]} that sees {summary}, "
        f"{regime} (Radev et al. 2020, BayesFlow, arXiv:2003.06281). Checks use "
        f"{config['diagnostics']['draws']:,} posterior draws for each simulation held out; the posterior of an "
        f"observed data set is {posterior['draws']:,} draws, of many at most {posterior['draws_in_all']:,} together."
    )
