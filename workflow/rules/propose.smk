# Truncated proposals: the region where the fit to the rounds before sees the posterior of one observation, and parameters
# that are drawn from the prior there. Both are written once and then stay, since simulations in the store depend on them:
# they are inputs of other jobs only while they are missing.
TRUNCATED = {}
if SIMULATIONS.truncated:
    TRUNCATED = {PLAN.store_of(split).name: number for number, split in enumerate(ROUNDS) if number > 0}


def batches_group(store):
    """Batches that share a cluster's jobs: those of truncated rounds depend on earlier ones, and so cannot do it with them."""
    if store not in TRUNCATED:
        return "simulate"
    workflow.parent_groupids[f"simulate-{store}"] = "simulate"  # whose size holds for it too
    return f"simulate-{store}"


def store_named(name):
    return Store(Path(STORES) / f"{name}.zarr")


def region(store):
    """The region that a store's simulations come from, while it is not there yet; none for the whole prior."""
    path = proposal_path(store_named(store))
    return [] if store not in TRUNCATED or path.exists() else path


def parameters(wildcards):
    """What is drawn there for a batch, while it is not there yet."""
    if wildcards.store not in TRUNCATED:
        return []
    batch = Batch(store_named(wildcards.store), wildcards.split, int(wildcards.batch), SIMULATIONS.batch_size)
    if batch.committed or has_theta(batch.store, batch.split, batch.indices):
        return []
    return theta_path(batch.store, batch.split, PLAN.simulations(batch.split))


def round_before(wildcards):
    """The round whose fit tells where to truncate."""
    if wildcards.store not in TRUNCATED:
        raise WorkflowError(
            f"cinnflow: {wildcards.store} is of another observation, network or training than the study has now: it was "
            "edited while jobs ran. Start snakemake again; what is finished is kept"
        )
    return ROUNDS[TRUNCATED[wildcards.store] - 1]


def wider(wildcards):
    """Name of the store of the round before, where that one comes from a region too."""
    store = PLAN.store_of(round_before(wildcards)).name
    return store if store in TRUNCATED else ""


if SIMULATIONS.truncated:

    rule truncate:
        input:
            manifest=PLAN.manifest_path("round-0"),
            records=lambda wildcards: taken_back(["round-0"], proposal_path(store_named(wildcards.store))),
            fits=lambda wildcards: PLAN.fits(round_before(wildcards)),
            observation=PLAN.around,
        output:
            f"{STORES}/{{store}}.proposal/proposal.json",
        params:
            wider=wider,
            fingerprint=lambda wildcards: as_json(PLAN.fingerprint_of(ROUNDS[TRUNCATED[wildcards.store]]).parts),
        log:
            f"{STORES}/logs/{{store}}/truncate.log",
        threads: 4
        resources:
            mem_mb=4000,
        shell:
            "{STEP}.truncate --stores {STORES} --store {wildcards.store:q} --prior {PLAN.store.name:q}"
            " --wider={params.wider:q} --fingerprint {params.fingerprint:q} --manifest {input.manifest:q}"
            " --fits {input.fits:q} --model={MODEL:q} --options {MODEL_OPTIONS:q} --observation {input.observation:q}"
            " --seed {PLAN.study.seed} --threads {threads} 2> {log:q}"

    rule propose:
        input:
            lambda wildcards: region(wildcards.store),
        output:
            f"{STORES}/{{store}}.proposal/{{split}}-{{simulations}}.npy",
        wildcard_constraints:
            split=r"round-\d+|test",
            simulations=r"\d+",
        log:
            f"{STORES}/logs/{{store}}/propose-{{split}}-{{simulations}}.log",
        threads: 4
        resources:
            mem_mb=4000,
        shell:
            "{STEP}.propose --store {STORES}/{wildcards.store:q}.zarr --prior {PLAN.store.name:q}"
            " --split {wildcards.split} --simulations {wildcards.simulations} --model={MODEL:q}"
            " --options {MODEL_OPTIONS:q} --seed {PLAN.study.seed} --threads {threads} 2> {log:q}"
