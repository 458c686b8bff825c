# Each observation: its posterior, simulations with parameters from that posterior, and how these compare with it.
OBSERVATION = "Observation {observation}"  # category in Snakemake's own report
OBSERVATIONS = f"{PLAN.folder}/observations"
PRIOR_PREDICTIVE = 256  # simulations of the first round that stand for what the prior expects
POSTERIOR_DRAWS = f"{OBSERVATIONS}/{{observation}}/draws.nc"
PREDICTIVE_STORE = f"{OBSERVATIONS}/{{observation}}/{PLAN.predictive_store}"


def observation_file(wildcards):
    return PLAN.study.observations[wildcards.observation]


rule infer:
    input:
        manifest=PLAN.manifest_path(PLAN.prior_split),
        records=lambda wildcards: taken_back([PLAN.prior_split], POSTERIOR_DRAWS.format(**wildcards)),
        fits=settled(lambda wildcards: PLAN.newest_fits),
        observation=observation_file,
    output:
        draws=POSTERIOR_DRAWS,
        table=f"{OBSERVATIONS}/{{observation}}/summary.csv",
    params:
        observation=observation_file,
        fits=settled(lambda wildcards: [str(fit) for fit in PLAN.newest_fits]),
        draws=PLAN.study.posterior.draws,
        draws_in_all=PLAN.study.posterior.draws_in_all,
        prior_predictive=PRIOR_PREDICTIVE,
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
        " --draws {params.draws} --draws-in-all {params.draws_in_all} --prior-predictive {params.prior_predictive}"
        " --seed {params.seed} --threads {threads} --out {output.draws:q} --table {output.table:q} 2> {log:q}"


rule pairs:
    input:
        draws=rules.infer.output.draws,
        modules=[MODULES / "pairs.py", MODULES / "density.py"],
    output:
        figure=report(
            f"{OBSERVATIONS}/{{observation}}/pairs.png",
            caption="../report/pairs.rst",
            category=OBSERVATION,
        ),
    log:
        f"{PLAN.folder}/logs/pairs-{{observation}}.log",
    localrule: True
    shell:
        "{STEP}.pairs --draws {input.draws:q} --figure {output.figure:q} 2> {log:q}"


rule misspecification:
    input:
        draws=rules.infer.output.draws,
        test=rules.draws.output,
        module=MODULES / "misspecification.py",
    output:
        table=f"{OBSERVATIONS}/{{observation}}/misspecification.csv",
        figure=report(
            f"{OBSERVATIONS}/{{observation}}/misspecification.png",
            caption="../report/misspecification.rst",
            category=OBSERVATION,
        ),
    log:
        f"{PLAN.folder}/logs/misspecification-{{observation}}.log",
    localrule: True
    shell:
        "{STEP}.misspecification --draws {input.draws:q} --test $(dirname {input.test:q}) --seed {PLAN.study.seed}"
        " --table {output.table:q} --figure {output.figure:q} 2> {log:q}"


rule predict:
    input:
        draws=rules.infer.output.draws,
    output:
        update(f"{PREDICTIVE_STORE}/predictive-{{observation}}/status/c/{{batch}}"),
    params:
        seed=PLAN.study.seed,
    wildcard_constraints:
        batch=r"\d+",
    log:
        f"{PLAN.folder}/logs/predict-{{observation}}-{{batch}}.log",
    threads: SIMULATIONS.threads
    shell:
        "rm -f {BACKUPS}/{output:q}; "
        f"{{STEP}}.predict --store {PREDICTIVE_STORE.replace('{observation}', '{wildcards.observation}')}"
        " --meaning {PLAN.store.name:q} --split predictive-{wildcards.observation} --batch {wildcards.batch}"
        " --batch-size {PLAN.predictive_batch_size} --model={MODEL:q}"
        " --options {MODEL_OPTIONS:q} --seed {params.seed} --threads {threads} --timeout {TIMEOUT}"
        " --attempts {SIMULATIONS.attempts} --draws {input.draws:q} 2> {log:q}"


rule predictive:
    input:
        batches=[f"{PREDICTIVE_STORE}/predictive-{{observation}}/status/c/{n}" for n in range(PLAN.predictive_batches)],
        draws=rules.infer.output.draws,
        modules=[MODULES / "predictive.py", MODULES / "simulated_data.py"],
    output:
        table=f"{OBSERVATIONS}/{{observation}}/predictive.csv",
        figure=report(
            f"{OBSERVATIONS}/{{observation}}/predictive.png",
            caption="../report/predictive.rst",
            category=OBSERVATION,
        ),
        prior_figure=report(
            f"{OBSERVATIONS}/{{observation}}/prior_predictive.png",
            caption="../report/prior_predictive.rst",
            category=OBSERVATION,
        ),
        # All of the posterior: the draws, and now what is simulated with them.
        posterior=f"{OBSERVATIONS}/{{observation}}/posterior.nc",
    params:
        code=PLAN.code("labels"),
        simulations=PLAN.study.posterior.predictive,
    log:
        f"{PLAN.folder}/logs/predictive-{{observation}}.log",
    localrule: True
    shell:
        f"{{STEP}}.predictive --store {PREDICTIVE_STORE.replace('{observation}', '{wildcards.observation}')}"
        " --split predictive-{wildcards.observation} --batches {PLAN.predictive_batches}"
        " --batch-size {PLAN.predictive_batch_size} --model={MODEL:q} --options {MODEL_OPTIONS:q}"
        " --draws {input.draws:q} --table {output.table:q}"
        " --figure {output.figure:q} --prior-figure {output.prior_figure:q} --posterior {output.posterior:q} 2> {log:q}"


if PLAN.model.alternative_priors:

    rule sensitivity:
        input:
            draws=rules.infer.output.draws,
            module=MODULES / "sensitivity.py",
        output:
            table=f"{OBSERVATIONS}/{{observation}}/sensitivity.csv",
            figure=report(
                f"{OBSERVATIONS}/{{observation}}/sensitivity.png",
                caption="../report/sensitivity.rst",
                category=OBSERVATION,
            ),
        params:
            code=PLAN.code("alternative_priors"),
        log:
            f"{PLAN.folder}/logs/sensitivity-{{observation}}.log",
        localrule: True
        shell:
            "{STEP}.sensitivity --draws {input.draws:q} --model={MODEL:q} --options {MODEL_OPTIONS:q}"
            " --table {output.table:q} --figure {output.figure:q} 2> {log:q}"


if PLAN.source:

    # Without a simulator nothing is predicted, and the posterior is all there is.
    ruleorder: posterior > predictive

    rule posterior:
        input:
            draws=rules.infer.output.draws,
        output:
            posterior=f"{OBSERVATIONS}/{{observation}}/posterior.nc",
        params:
            code=PLAN.code("labels"),
        log:
            f"{PLAN.folder}/logs/posterior-{{observation}}.log",
        localrule: True
        shell:
            "{STEP}.posterior --draws {input.draws:q} --model={MODEL:q} --options {MODEL_OPTIONS:q}"
            " --posterior {output.posterior:q} 2> {log:q}"
