#!/usr/bin/env bash
# sbi 0.27, in an environment of its own.   sbi.sh FOLDER
set -euo pipefail
python3 -m venv --clear "$1"
"$1/bin/python" -m pip install --quiet torch==2.13.0 'sbi==0.27.*'
