#!/usr/bin/env bash
# BayesFlow 1.1.6, in an environment of its own.   bayesflow1.sh FOLDER
set -euo pipefail
python3 -m venv --clear "$1"
"$1/bin/python" -m pip install --quiet bayesflow==1.1.6 'tensorflow==2.14.*' tensorflow-probability==0.22.1 'numpy<1.27' 'pandas<2.3'
