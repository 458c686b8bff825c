"""What a training has noted of itself, beside its history."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


def read_training_record(history: Path) -> dict[str, Any]:
    """The training.json beside a history; nothing where that file is gone or damaged."""
    path = history.parent / "training.json"
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError) as error:
        log.warning("%s cannot be read (%s): what it tells is left out", path, error)
        return {}
