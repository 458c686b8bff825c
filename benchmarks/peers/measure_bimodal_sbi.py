"""sbi 0.27 on the tasks with two parts: NPE with a neural spline flow, its defaults; and C2ST, for all tools.

python measure_bimodal_sbi.py draw TASK SIMULATIONS FILE       trains, and writes posterior draws to a .npy file
python measure_bimodal_sbi.py c2st TASK FILE                   prints how well such draws can be told from exact ones
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from bimodal import DRAWS, TASKS, Task
from sbi.inference import NPE
from sbi.utils import BoxUniform
from sbi.utils.metrics import c2st


def draw(task: Task, simulations: int) -> np.ndarray:
    """Posterior draws (observations, draws, 2)."""
    torch.manual_seed(1)
    bound = torch.full((2,), task.bound)
    theta, x = (torch.from_numpy(array.astype(np.float32)) for array in task.simulations(simulations, seed=1))
    inference = NPE(BoxUniform(-bound, bound), density_estimator="nsf").append_simulations(theta, x)
    inference.train()
    posterior = inference.build_posterior()
    observed = torch.from_numpy(task.observed.astype(np.float32))
    return np.stack([posterior.sample((DRAWS,), x=one, show_progress_bars=False).numpy() for one in observed])


def separability(task: Task, draws: np.ndarray) -> float:
    """Mean accuracy of a classifier between draws and exact ones: 0.5 where they are alike."""
    found = []
    for number, (one, those) in enumerate(zip(task.observed, draws, strict=True)):
        exact = task.posterior(one, len(those), np.random.default_rng(number))
        found.append(float(c2st(torch.from_numpy(exact).float(), torch.from_numpy(those).float())))
    return float(np.mean(found))


what, name, *rest = sys.argv[1:]
if what == "draw":
    np.save(rest[1], draw(TASKS[name], int(rest[0])))
else:
    sys.stdout.write(f"\n{separability(TASKS[name], np.load(rest[0])):.3f}\n")
