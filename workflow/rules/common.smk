import json
import os
import sys
from shlex import quote

sys.path.insert(0, str(Path(workflow.basedir) / "src"))

from snakemake.exceptions import WorkflowError
from snakemake.settings.enums import RerunTrigger

from cinnflow.config import read_raw
from cinnflow.errors import PlainError
from cinnflow.plan import Plan
from cinnflow.lock import Lock, Locked
from cinnflow.store.layout import Batch
from cinnflow.store.layout import Store
from cinnflow.store.proposal import has_theta, proposal_path, theta_path

# The steps run the library that stands beside the rules, in the Python that runs snakemake; sets of text have one order
# in all of them.
SRC = Path(workflow.basedir) / "src"
STEP = f"PYTHONHASHSEED=0 PYTHONPATH={quote(str(SRC))}${{PYTHONPATH:+:$PYTHONPATH}} {quote(sys.executable)} -m cinnflow.steps"
# Relative, so that a project that was moved or checked out elsewhere is still up to date.
MODULES = Path(os.path.relpath(SRC / "cinnflow/diagnostics"))
STORES = "results/simulations"
# Where Snakemake keeps the former state of an `update` output. It would put that back when the job fails, even a commit
# record that has been taken back since: so jobs with such an output delete it first.
BACKUPS = ".snakemake/backups"
OF_DRAWS = ["sbc", "recovery", "contraction", "coverage", "log_gamma", "tarp", "directions", "scores", "latent"]
# With the modules that an edit of reruns them for.
OF_DRAWS_AND_DATA = {"sufficiency": ["sufficiency", "regression"], "local_calibration": ["local_calibration"]}
CONFIG_FILES = [str(path) for path in workflow.overwrite_configfiles]
SOURCE = CONFIG_FILES[0] if CONFIG_FILES else "config.yaml"
OPTIONS = f" --configfile {SOURCE}" if CONFIG_FILES else ""
COMMAND = " ".join(["snakemake", *sys.argv[1:]])

try:
    # Snakemake has read them already, but keeps the last of several values of one key without a word.
    for path in CONFIG_FILES or [SOURCE]:
        read_raw(Path(path))
    PLAN = Plan.of(config, SOURCE)
    PLAN.check_batch_size()
except PlainError as error:
    raise WorkflowError(f"cinnflow: {error}") from None

LOCK = Lock(PLAN.folder)


def as_json(value):
    """Settings as one word of a command line, and as one parameter that Snakemake compares."""
    return json.dumps(value, sort_keys=True)


def literal(text):
    """A parameter or an input as it stands: in a plain text, Snakemake would take `{name}` for a wildcard."""
    return lambda wildcards: text


def settled(function):
    """An input or a parameter that depends on how many rounds there are: waits until that is known."""

    def of(wildcards):
        for number in range(PLAN.study.simulations.most_rounds):
            if PLAN.course.decides(number):
                checkpoints.assess.get(round=str(number))
            if not PLAN.course.goes_on_after(number):
                break
        return function(wildcards)

    return of if PLAN.study.simulations.stop_below is not None else function


onstart:
    # Under Snakemake's own settings an edited rule would run everything behind it again.
    if RerunTrigger.CODE in workflow.dag_settings.rerun_triggers:
        raise WorkflowError("cinnflow: no profile is active: add --workflow-profile workflow/profiles/default")
    try:
        PLAN.check_parameters()
        LOCK.acquire()
    except (PlainError, Locked) as error:
        raise WorkflowError(f"cinnflow: {error}") from None


# Not in onstart, which a dry run does not reach.
if workflow.is_main_process:
    for line in [*PLAN.rounded(), *PLAN.simulated_anew()]:
        logger.info(f"cinnflow: {line}")
