"""Histories of training: averages, and what each verdict says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cinnflow.diagnostics import losses, style, verdicts


def history(validation_loss: np.ndarray) -> pd.DataFrame:
    epochs = np.arange(1, len(validation_loss) + 1)
    return pd.DataFrame({"epoch": epochs, "loss": validation_loss - 0.1, "validation_loss": validation_loss})


def word(validation_loss: np.ndarray) -> str:
    return losses.verdict(losses.compute({"fit": history(validation_loss)}))["verdict"].item()


def test_moving_average_is_centred_on_its_epoch() -> None:
    table = losses.compute({"fit": history(np.arange(9.0))}, moving_average=3)
    assert table["smooth_validation_loss"].tolist() == [0.5, 1, 2, 3, 4, 5, 6, 7, 7.5]


@pytest.mark.parametrize(("epochs", "averaged"), [(10, 3), (30, 6), (50, 10), (200, 10)])
def test_a_short_history_is_not_averaged_away(epochs: int, averaged: int) -> None:
    peak = np.zeros(epochs)
    peak[epochs // 2] = 1.0
    table = losses.compute({"fit": history(peak)})
    assert np.count_nonzero(table["smooth_validation_loss"] > 1e-9) == averaged


def test_verdicts() -> None:
    epochs = np.arange(100)
    assert word(np.exp(-epochs / 5)) == verdicts.PASS
    assert word(1 - epochs / 100) == verdicts.UNFINISHED
    assert word(np.full(10, np.nan)) == verdicts.FAIL


def test_an_earlier_round_that_still_fell_is_no_fault_of_the_study() -> None:
    falling, level = history(1 - np.arange(100) / 100), history(np.exp(-np.arange(100) / 5))

    def words(*histories: pd.DataFrame) -> list[str]:
        fits = ["round 0, member 0", "round 1, member 0", "round 1, member 1"]
        return losses.verdict(losses.compute(dict(zip(fits, histories, strict=True))))["verdict"].tolist()

    assert words(falling, level, level) == [verdicts.PASS] * 3
    assert words(level, falling, level) == [verdicts.PASS, verdicts.UNFINISHED, verdicts.PASS]


def test_a_fit_that_broke_down_fails_unless_a_later_round_went_on() -> None:
    level = history(np.exp(-np.arange(100) / 5))
    broken = "after epoch 100: it broke down: the loss is nan, in epoch 101; the weights of epoch 9 are kept"

    def words(*fits: str) -> list[str]:
        endings = dict.fromkeys(fits, broken)
        table = losses.compute({f"round {number}, member 0": level for number in range(2)}, endings)
        return losses.verdict(table)["verdict"].tolist()

    assert words() == [verdicts.PASS, verdicts.PASS]
    assert words("round 1, member 0") == [verdicts.PASS, verdicts.FAIL]
    assert words("round 0, member 0") == [verdicts.PASS, verdicts.PASS]


def test_the_figure_says_that_a_training_broke_down_and_shows_a_single_epoch(tmp_path) -> None:
    ended = "after epoch 1: it broke down: the loss is nan, in epoch 2; the weights of epoch 1 are kept"
    figure = losses.plot(losses.compute({"fit": history(np.array([1.4e13]))}, {"fit": ended}))
    assert [text.get_text() for text in figure.axes[0].texts] == ["broke down"]
    assert "." in [line.get_marker() for line in figure.axes[0].lines]
    style.save(figure, tmp_path / "losses.png")


def test_the_value_is_the_best_loss_and_its_epoch_is_named() -> None:
    judged = losses.verdict(losses.compute({"a": history(np.r_[5.0, 2.0, np.full(20, 3.0)]), "b": history(np.ones(5))}))
    assert judged["parameter"].tolist() == ["a", "b"]
    assert judged["value"].tolist() == [2.0, 1.0]
    assert "epoch 2 of 22" in judged["reason"].iloc[0]


@pytest.mark.parametrize("fits", [1, 2, 7])
def test_each_fit_has_a_panel(fits: int, tmp_path) -> None:
    noisy = np.random.default_rng(0).normal(size=30)
    table = losses.compute({f"round {index}": history(noisy) for index in range(fits)})
    figure = losses.plot(table)
    assert len(figure.axes) == fits
    style.save(figure, tmp_path / "losses.png")


def test_a_history_without_finite_losses_is_drawn(tmp_path) -> None:
    style.save(losses.plot(losses.compute({"fit": history(np.full(4, np.nan))})), tmp_path / "losses.png")


def test_a_history_that_lacks_a_column_is_named() -> None:
    with pytest.raises(
        ValueError, match="history of 'round 1' needs rows with epoch, loss and validation_loss: got 2 rows"
    ):
        losses.compute({"round 1": pd.DataFrame({"epoch": [1, 2]})})


@pytest.mark.filterwarnings("error")
def test_a_history_without_validation_shows_training_alone() -> None:
    table = losses.compute({"fit": history(np.linspace(2, 1, 30)).assign(validation_loss=np.nan)})
    (axis,) = losses.plot(table).axes
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["training"]
    assert axis.get_ylim()[0] < 0.9 < 1.9 < axis.get_ylim()[1]
