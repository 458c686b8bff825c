# One rule a diagnostic. Each names its own module among its inputs, so that an edit reruns it and the report alone.
SETTINGS = PLAN.study.diagnostics.model_dump()


for diagnostic in OF_DRAWS:

    rule:
        name:
            diagnostic
        input:
            draws=rules.draws.output,
            module=MODULES / f"{diagnostic}.py",
        output:
            table=f"{PLAN.folder}/diagnostics/{diagnostic}.csv",
            figure=report(
                f"{PLAN.folder}/diagnostics/{diagnostic}.png",
                caption=f"../report/{diagnostic}.rst",
                category="Diagnostics",
            ),
        params:
            diagnostic=diagnostic,
            settings=as_json(SETTINGS.get(diagnostic, {})),
        log:
            f"{PLAN.folder}/logs/{diagnostic}.log",
        resources:
            mem_mb=2000,
        group:
            "diagnostics"
        shell:
            "{STEP}.diagnose {params.diagnostic} --settings {params.settings:q} --draws $(dirname {input.draws:q})"
            " --table {output.table:q} --figure {output.figure:q} 2> {log:q}"


def diagnostic_table(diagnostic):
    return f"{PLAN.folder}/diagnostics/{diagnostic}.csv"


# These read the simulations too, and so wait for a batch that was taken back, as the draws do.
for diagnostic, modules in OF_DRAWS_AND_DATA.items():

    rule:
        name:
            diagnostic
        input:
            draws=rules.draws.output,
            manifest=PLAN.manifest_path("test"),
            records=settled(lambda wildcards, table=diagnostic_table(diagnostic): taken_back(["test"], table)),
            modules=[MODULES / f"{module}.py" for module in modules],
        output:
            table=diagnostic_table(diagnostic),
            figure=report(
                f"{PLAN.folder}/diagnostics/{diagnostic}.png",
                caption=f"../report/{diagnostic}.rst",
                category="Diagnostics",
            ),
        params:
            diagnostic=diagnostic,
        log:
            f"{PLAN.folder}/logs/{diagnostic}.log",
        resources:
            mem_mb=2000,
        group:
            "diagnostics"
        shell:
            "{STEP}.diagnose {params.diagnostic} --draws $(dirname {input.draws:q}) --stores {STORES}"
            " --data {input.manifest:q} --table {output.table:q} --figure {output.figure:q} 2> {log:q}"


rule losses:
    input:
        histories=settled(lambda wildcards: PLAN.histories),
        module=MODULES / "losses.py",
    output:
        table=f"{PLAN.folder}/diagnostics/losses.csv",
        figure=report(
            f"{PLAN.folder}/diagnostics/losses.png", caption="../report/losses.rst", category="Diagnostics"
        ),
    params:
        settings=as_json(SETTINGS["losses"]),
        histories=settled(lambda wildcards: [str(history) for history in PLAN.histories]),
    log:
        f"{PLAN.folder}/logs/losses.log",
    localrule: True
    shell:
        "{STEP}.diagnose losses --settings {params.settings:q} --histories {input.histories:q}"
        " --table {output.table:q} --figure {output.figure:q} 2> {log:q}"


rule failures:
    input:
        manifests=settled(lambda wildcards: [PLAN.manifest_path(split) for split in PLAN.splits]),
        module=MODULES / "failures.py",
    output:
        table=f"{PLAN.folder}/diagnostics/failures.csv",
        figure=report(
            f"{PLAN.folder}/diagnostics/failures.png", caption="../report/failures.rst", category="Diagnostics"
        ),
    params:
        splits=settled(lambda wildcards: PLAN.splits),
    log:
        f"{PLAN.folder}/logs/failures.log",
    localrule: True
    shell:
        "{STEP}.diagnose failures --stores {STORES} --manifests {input.manifests:q}"
        " --table {output.table:q} --figure {output.figure:q} 2> {log:q}"
