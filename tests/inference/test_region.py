"""Regions of the posterior: the right share of it, for known densities, and no smaller than rejection can reach."""

from __future__ import annotations

import numpy as np
import pytest
from posteriors import posterior, simulations
from scipy import stats

from cinnflow.inference.ensemble import Ensemble
from cinnflow.inference.errors import PosteriorFileError
from cinnflow.inference.region import LEAST_SHARE, LEFT_OUT, Region


class Normal:
    """Posteriors that are normal around the data, with standard deviation `sd`."""

    def __init__(self, sd: float) -> None:
        self.sd = sd

    def sample(self, data, n_samples, seed=None):
        noise = np.random.default_rng(seed).normal(size=(len(data["x"]), n_samples, 2))
        return data["x"][:, None] + self.sd * noise

    def log_prob(self, theta, data):
        return stats.norm(data["x"][:, None], self.sd).logpdf(theta).sum(axis=-1)


PRIOR = 10 * np.random.default_rng(0).normal(size=(200_000, 2))


def around(x, sd=1.0, wider=None) -> Region:
    return Region.around(Normal(sd), {"x": np.array(x, float)}, PRIOR, seed=1, wider=wider)


def test_a_region_is_where_nearly_all_of_the_posterior_has_its_highest_density():
    region = around([[3.0, -2.0]])
    radius = np.sqrt(stats.chi2(2).ppf(1 - LEFT_OUT))
    assert region.inside(np.array([[3.0, -2.0 + 0.9 * radius], [3.0 + 0.9 * radius, -2.0]])).all()
    assert not region.inside(np.array([[3.0, -2.0 + 1.1 * radius], [3.0 - 1.1 * radius, -2.0]])).any()


def test_a_region_is_never_too_small_to_be_drawn_from():
    share = np.mean(around([[0.0, 0.0]], sd=1e-3).inside(PRIOR))
    assert LEAST_SHARE <= share < 2 * LEAST_SHARE
    assert np.mean(around([[0.0, 0.0]]).inside(PRIOR)) > 50 * LEAST_SHARE


def test_several_data_sets_have_the_union_of_their_regions():
    region = around([[-20.0, 0.0], [20.0, 0.0]])
    assert region.inside(np.array([[-20.0, 0.0], [20.0, 0.0], [0.0, 0.0]])).tolist() == [True, True, False]


def test_a_region_lies_within_the_wider_one():
    wider = around([[0.0, 0.0]])
    narrower = around([[3.0, 0.0]], wider=wider)
    inside = narrower.inside(PRIOR)
    assert inside.any()
    assert wider.inside(PRIOR[inside]).all()
    assert np.any(around([[3.0, 0.0]]).inside(PRIOR) & ~wider.inside(PRIOR))


def test_a_saved_region_is_the_same(tmp_path):
    theta, data = simulations()
    made = posterior("deep_set")
    made.save(tmp_path / "network.keras")
    observed = {name: array[:1] for name, array in data.items()}
    wider = around([[0.0, 0.0]])
    region = Region.around(Ensemble([made]), observed, theta, seed=1)
    region.save(tmp_path / "region", [tmp_path / "network.keras"])
    loaded = Region.load(tmp_path / "region", wider)
    assert loaded.wider is wider
    assert loaded.observed.keys() == observed.keys()
    again = Region.load(tmp_path / "region", None)
    np.testing.assert_array_equal(again.inside(theta), region.inside(theta))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", None])
def test_a_damaged_region_is_told_with_what_to_do(tmp_path, content):
    theta, data = simulations()
    made = posterior("none")
    made.save(tmp_path / "network.keras")
    Region.around(Ensemble([made]), {name: array[:1] for name, array in data.items()}, theta, seed=1).save(
        tmp_path / "region", [tmp_path / "network.keras"]
    )
    path = tmp_path / "region" / "region.npz"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(PosteriorFileError, match=r"region is damaged .*put it back"):
        Region.load(tmp_path / "region", None)


@pytest.mark.parametrize("kind", ["deep_set", "none"])
def test_the_density_of_several_vectors_is_that_of_each(kind):
    theta, data = simulations()
    made = posterior(kind)
    several = np.stack([theta, theta[::-1]], axis=1)
    found = made.log_prob(several, data)
    assert found.shape == (len(theta), 2)
    for column in range(2):
        np.testing.assert_allclose(found[:, column], made.log_prob(several[:, column], data), rtol=1e-4, atol=1e-4)


def test_data_sets_one_after_the_other_have_the_regions_that_they_have_alone():
    both = around([[-20.0, 0.0], [20.0, 0.0]]).thresholds
    np.testing.assert_array_equal(both, np.concatenate([around([x]).thresholds for x in ([-20.0, 0.0], [20.0, 0.0])]))
