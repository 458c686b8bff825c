#!/usr/bin/env bash
# BayesFlow 2.0.12 with TensorFlow and with JAX, in an environment of its own.   bayesflow2.sh FOLDER
set -euo pipefail
python3 -m venv --clear "$1"
"$1/bin/python" -m pip install --quiet bayesflow==2.0.12 tensorflow-cpu jax
