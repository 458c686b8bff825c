# Each observation: its posterior, simulations with parameters from that posterior, and how these compare with it.
OBSERVATIONS = f"{PLAN.folder}/observations"
PREDICTIVE_STORE = f"{OBSERVATIONS}/{{observation}}/{PLAN.predictive_store}"


def observation_file(wildcards):
    return PLAN.study.observations[wildcards.observation]


rule infer:
    input:
        manifest=PLAN.manifest_path(PLAN.prior_split),
        fits=PLAN.newest_fits,
        observation=observation_file,
    output:
        posterior=f"{OBSERVATIONS}/{{observation}}/posterior.nc",
        table=f"{OBSERVATIONS}/{{observation}}/summary.csv",
        summaries=f"{OBSERVATIONS}/{{observation}}/summaries.npy",
    params:
        observation=observation_file,
        fits=[str(fit) for fit in PLAN.newest_fits],
        draws=PLAN.study.posterior.draws,
        seed=PLAN.study.seed,
        code=PLAN.code("read_observation", "derived_quantities"),
    log:
        f"{PLAN.folder}/logs/infer-{{observation}}.log",
    threads: 4
    resources:
        mem_mb=4000,
    shell:
        "{STEP}.infer --stores {STORES} --manifest {input.manifest:q} --fits {input.fits:q} --model={MODEL:q}"
        " --options {MODEL_OPTIONS:q} --study {PLAN.study.study} --observation {input.observation:q}"
        " --draws {params.draws} --seed {params.seed} --threads {threads} --posterior {output.posterior:q}"
        " --table {output.table:q} --summaries {output.summaries:q} 2> {log:q}"


rule pairs:
    input:
        posterior=rules.infer.output.posterior,
        module=MODULES / "pairs.py",
    output:
        figure=f"{OBSERVATIONS}/{{observation}}/pairs.png",
    log:
        f"{PLAN.folder}/logs/pairs-{{observation}}.log",
    localrule: True
    shell:
        "{STEP}.pairs --posterior {input.posterior:q} --figure {output.figure:q} 2> {log:q}"


rule predict:
    input:
        posterior=rules.infer.output.posterior,
    output:
        update(f"{PREDICTIVE_STORE}/predictive-{{observation}}/status/c/{{batch}}"),
    params:
        simulations=PLAN.study.posterior.predictive,
    wildcard_constraints:
        batch=r"\d+",
    log:
        f"{PLAN.folder}/logs/predict-{{observation}}-{{batch}}.log",
    threads: SIMULATIONS.threads
    shell:
        "rm -f {BACKUPS}/{output:q}; "
        f"{{STEP}}.predict --store {PREDICTIVE_STORE.replace('{observation}', '{wildcards.observation}')}"
        " --meaning {PLAN.store.name:q} --split predictive-{wildcards.observation} --batch {wildcards.batch}"
        " --batch-size {PLAN.predictive_batch_size} --simulations {params.simulations} --model={MODEL:q}"
        " --options {MODEL_OPTIONS:q} --seed {PLAN.study.seed} --threads {threads} --timeout {TIMEOUT}"
        " --attempts {SIMULATIONS.attempts} --posterior {input.posterior:q} 2> {log:q}"


rule predictive:
    input:
        batches=[f"{PREDICTIVE_STORE}/predictive-{{observation}}/status/c/{n}" for n in range(PLAN.predictive_batches)],
        observation=observation_file,
        module=MODULES / "predictive.py",
    output:
        table=f"{OBSERVATIONS}/{{observation}}/predictive.csv",
        figure=f"{OBSERVATIONS}/{{observation}}/predictive.png",
    params:
        observation=observation_file,
        code=PLAN.code("read_observation"),
        simulations=PLAN.study.posterior.predictive,
    log:
        f"{PLAN.folder}/logs/predictive-{{observation}}.log",
    localrule: True
    shell:
        f"{{STEP}}.predictive --store {PREDICTIVE_STORE.replace('{observation}', '{wildcards.observation}')}"
        " --split predictive-{wildcards.observation} --batches {PLAN.predictive_batches}"
        " --batch-size {PLAN.predictive_batch_size} --model={MODEL:q} --options {MODEL_OPTIONS:q}"
        " --observation {input.observation:q} --table {output.table:q} --figure {output.figure:q} 2> {log:q}"


rule misspecification:
    input:
        draws=rules.draws.output,
        summaries=rules.infer.output.summaries,
        module=MODULES / "misspecification.py",
    output:
        table=f"{OBSERVATIONS}/{{observation}}/misspecification.csv",
        figure=f"{OBSERVATIONS}/{{observation}}/misspecification.png",
    log:
        f"{PLAN.folder}/logs/misspecification-{{observation}}.log",
    localrule: True
    shell:
        "{STEP}.misspecification --draws $(dirname {input.draws:q}) --summaries {input.summaries:q}"
        " --table {output.table:q} --figure {output.figure:q} 2> {log:q}"
