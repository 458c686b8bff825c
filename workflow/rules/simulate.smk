# A job's commit record is its one output. Nothing about a study stands in a job's params or inputs: the store's name,
# which is the fingerprint of what a simulation means, is all that its result depends on.
from snakemake.io import flag, is_flagged
from snakemake.jobs import Job

SIMULATIONS = PLAN.study.simulations
MODEL = PLAN.model_path
MODEL_OPTIONS = as_json(PLAN.study.model_options)
ROUNDS = [f"round-{number}" for number in range(SIMULATIONS.most_rounds)]
BATCHES = as_json({split: PLAN.batches(split) for split in (PLAN.splits if PLAN.source else [*ROUNDS, "test"])})
TIMEOUT = as_json(SIMULATIONS.timeout)
# What every batch's command has in common, as one text: to format it word by word for each took a tenth of a plan's time.
BATCH_OPTIONS = (
    f"--batch-size {SIMULATIONS.batch_size} --batches {quote(BATCHES)} --model={quote(MODEL)}"
    f" --options {quote(MODEL_OPTIONS)} --seed {PLAN.study.seed} --timeout {TIMEOUT} --attempts {SIMULATIONS.attempts}"
    f" --keep-failed {SIMULATIONS.keep_failed}"
)


def record(path):
    """Marks a rule's output as a commit record."""
    return flag(path, "record")


def keep_records(delete_outputs):
    """A method of Snakemake's jobs that deletes their outputs, changed so that it leaves commit records alone."""

    async def delete_others(job, *args):
        if not any(is_flagged(path, "record") for path in job.output):
            await delete_outputs(job, *args)

    return delete_others


# Snakemake deletes what a job may have left half written: before it starts, and after it has failed. A record is never
# half written, and a job may fail whose batch is committed: when a group on a cluster is ended from outside, all of its
# jobs count as failed, those too that had finished hours before; and so does one that is cancelled while it waits, for
# a batch that a job of an earlier snakemake has committed meanwhile.
Job.remove_existing_output = keep_records(Job.remove_existing_output)
Job.cleanup = keep_records(Job.cleanup)


rule simulate:
    input:
        lambda wildcards: parameters(wildcards),
    output:
        record("results/simulations/{store}.zarr/{split}/status/c/{batch}"),
    wildcard_constraints:
        store="[^/]+",
        split=r"round-\d+|test",
        batch=r"\d+",
    log:
        "results/simulations/logs/{store}/{split}-{batch}.log",
    threads: SIMULATIONS.threads
    group:
        lambda wildcards: batches_group(wildcards.store)
    shell:
        "{STEP}.simulate --store results/simulations/{wildcards.store:q}.zarr --split {wildcards.split}"
        " --batch {wildcards.batch} --threads {threads} {BATCH_OPTIONS} 2> {log:q}"
        # A batch that is committed has succeeded, however its process ended.
        " || test -e {output:q}"


if PLAN.source:

    # Simulations made elsewhere: one job writes what the store lacks of them. Their file is no input, since the store's
    # name covers its bytes.
    ruleorder: import_source > simulate

    rule import_source:
        output:
            [record(chunk) for split in PLAN.splits for chunk in PLAN.status_chunks(split)],
        log:
            f"results/simulations/logs/{PLAN.store.name}/import.log",
        resources:
            mem_mb=2000,
        localrule: True
        shell:
            "{STEP}.import_source --store {PLAN.store.path:q} --source {SIMULATIONS.source:q}"
            " --test {SIMULATIONS.test} --batch-size {SIMULATIONS.batch_size} --model={MODEL:q}"
            " --options {MODEL_OPTIONS:q} 2> {log:q}"


def unsealed(wildcards):
    """Commit records that a seal waits for: none where the study's manifest lists just what it wants already."""
    return [] if PLAN.manifest(wildcards.split) else PLAN.status_chunks(wildcards.split)


def taken_back(splits, result):
    """Commit records of sealed splits that are gone, as after a repair: a result that is yet to be made waits for them.

    One that is there would be made anew behind batches whose bytes come out the same.
    """
    if Path(result).exists():
        return []
    sealed = [split for split in splits if PLAN.manifest(split)]
    return [record for split in sealed for record in PLAN.status_chunks(split) if not record.exists()]


def refused(wildcards):
    """Whether a sealed split holds more failures than the study now allows."""
    manifest = PLAN.manifest(wildcards.split)
    return manifest is not None and manifest.failed_share > SIMULATIONS.max_failed


def of_split(function):
    """An input or a parameter of a split. With truncated proposals, that of the test split waits for the last round."""
    last = settled(function) if SIMULATIONS.truncated else function
    return lambda wildcards: (last if wildcards.split == "test" else function)(wildcards)


rule seal:
    input:
        of_split(unsealed),
    output:
        f"{PLAN.folder}/manifest/{{split}}.json",
    params:
        store=of_split(lambda wildcards: PLAN.store_of(wildcards.split).name),
        batches=lambda wildcards: PLAN.batches(wildcards.split),
        batch_size=SIMULATIONS.batch_size,
        refused=of_split(refused),
    wildcard_constraints:
        split=r"round-\d+|test",
    log:
        f"{PLAN.folder}/logs/seal-{{split}}.log",
    localrule: True
    shell:
        "{STEP}.seal --store {STORES}/{params.store:q}.zarr --split {wildcards.split} --batches {params.batches}"
        " --batch-size {params.batch_size} --max-failed {SIMULATIONS.max_failed} --model={MODEL:q}"
        " --model-options {MODEL_OPTIONS:q} --options={OPTIONS:q} --command {COMMAND:q} --manifest {output:q} 2> {log:q}"
