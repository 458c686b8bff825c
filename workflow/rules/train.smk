# The fit to a round reads all rounds up to it and goes on from the fit before. With any other regime there is one fit;
# online and replay read none, and simulate while they train.
NETWORK = PLAN.study.network.model_dump()
TRAINING = PLAN.study.training.model_dump(exclude={"ensemble"})
FIT = f"{PLAN.folder}/fit/{{stage}}member-{{member}}/network.keras"
# Networks as small as these gain little from more threads. Members train side by side, and half of the cores are left
# for the next round's simulations.
TRAINING_THREADS = max(1, min(4, workflow.cores // (2 * PLAN.study.training.ensemble)))


def rounds_of(wildcards):
    """Splits that a fit is trained on."""
    if not wildcards.stage:
        return PLAN.rounds
    return ROUNDS[: ROUNDS.index(wildcards.stage.rstrip("/")) + 1]


def fit_before(wildcards):
    """The same member's fit to the rounds before, where there are any."""
    earlier = rounds_of(wildcards)[:-1] if wildcards.stage else []
    return [PLAN.fits(earlier[-1])[int(wildcards.member)]] if earlier else []


def learned_store(wildcards):
    """Name of the store whose region a fit learns; empty where that is the whole prior."""
    store = PLAN.store_of(rounds_of(wildcards)[-1]).name if wildcards.stage else ""
    return store if store in TRUNCATED else ""


rule train:
    input:
        manifests=lambda wildcards: [PLAN.manifest_path(split) for split in rounds_of(wildcards)],
        records=lambda wildcards: taken_back(rounds_of(wildcards), FIT.format(**wildcards)),
        before=fit_before,
        region=lambda wildcards: region(learned_store(wildcards)),
    output:
        fit=FIT,
        history=f"{PLAN.folder}/fit/{{stage}}member-{{member}}/history.csv",
    params:
        network=literal(as_json(NETWORK)),
        training=literal(as_json(TRAINING)),
        seed=PLAN.study.seed,
        # Where the summary network is a class of the model file, that class's code counts too.
        code=PLAN.own_code,
        rounds=rounds_of,
        region=learned_store,
        # Manifests tell what stored simulations mean.
        simulates=PLAN.store.name if PLAN.study.training.simulates else "",
    wildcard_constraints:
        stage=r"(round-\d+/)?",
        member=r"\d+",
    log:
        f"{PLAN.folder}/logs/train-{{stage}}member-{{member}}.log",
    # As soon as its round is there: the simulations of the next one run beside it.
    priority: 1
    threads: TRAINING_THREADS
    resources:
        mem_mb=4000,
        gpu=0,
    shell:
        "{STEP}.train --stores {STORES} --manifests {input.manifests:q} --meaning {PLAN.store.name:q} --model={MODEL:q}"
        " --options {MODEL_OPTIONS:q} --network {params.network:q} --training {params.training:q} --code={params.code:q}"
        " --seed {params.seed} --member {wildcards.member} --before {input.before:q} --region={params.region:q}"
        " --timeout {TIMEOUT} --threads {threads} --memory {resources.mem_mb}"
        " --fit {output.fit:q} --history {output.history:q} 2> {log:q}"


if SIMULATIONS.stop_below is not None:

    # Decides on whether another round follows. Where there is any checkpoint, each job on a cluster plans all that its
    # target depends on: so there is none in other studies.
    checkpoint assess:
        input:
            fits=lambda wildcards: PLAN.fits(f"round-{wildcards.round}"),
        output:
            gain=f"{PLAN.folder}/fit/round-{{round}}/gain.json",
        params:
            # Their names too: with fewer members, all fits are older than the gain. And a member that is still missing is
            # no reason for Snakemake to run this before it knows the rounds.
            fits=lambda wildcards: [str(fit) for fit in PLAN.fits(f"round-{wildcards.round}")],
            stop_below=SIMULATIONS.stop_below,
        wildcard_constraints:
            round=r"\d+",
        log:
            f"{PLAN.folder}/logs/assess-round-{{round}}.log",
        localrule: True
        shell:
            "{STEP}.assess --fits {input.fits:q} --stop-below {params.stop_below} --gain {output.gain:q} 2> {log:q}"


# The artifact's zarr.json, which holds a digest of the rest and is written last.
DRAWS = f"{PLAN.folder}/draws/test.zarr/zarr.json"


rule draws:
    input:
        manifest=PLAN.manifest_path("test"),
        records=settled(lambda wildcards: taken_back(["test"], DRAWS)),
        fits=settled(lambda wildcards: PLAN.newest_fits),
    output:
        DRAWS,
    params:
        # Their names too: back at an earlier setting of rounds or regime, its fit is older than these draws.
        fits=settled(lambda wildcards: [str(fit) for fit in PLAN.newest_fits]),
        draws=PLAN.study.diagnostics.draws,
        seed=PLAN.study.seed,
        code=PLAN.code("derived_quantities"),
    log:
        f"{PLAN.folder}/logs/draws.log",
    threads: 4
    resources:
        mem_mb=4000,
    shell:
        "{STEP}.draws --stores {STORES} --manifest {input.manifest:q} --fits {input.fits:q} --model={MODEL:q}"
        " --options {MODEL_OPTIONS:q} --draws {params.draws} --seed {params.seed} --threads {threads}"
        " --out $(dirname {output:q}) 2> {log:q}"
