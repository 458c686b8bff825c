DIAGNOSTICS = [*OF_DRAWS, "losses", "failures"]
PER_OBSERVATION = ["summary.csv", "pairs.png", "misspecification.csv", "misspecification.png"]
if not PLAN.source:
    PER_OBSERVATION += ["predictive.csv", "predictive.png"]


rule report:
    input:
        diagnostics=expand(f"{PLAN.folder}/diagnostics/{{name}}.{{suffix}}", name=DIAGNOSTICS, suffix=["csv", "png"]),
        observations=expand(
            f"{OBSERVATIONS}/{{observation}}/{{file}}", observation=PLAN.study.observations, file=PER_OBSERVATION
        ),
        manifests=[PLAN.manifest_path(split) for split in PLAN.splits],
        histories=PLAN.histories,
        readme=PLAN.readme or [],
    output:
        report=PLAN.report,
        summary=f"{PLAN.folder}/diagnostics/summary.csv",
    params:
        config=as_json(PLAN.meaning),
        fingerprint=as_json(PLAN.fingerprint.parts),
        code=PLAN.code("published"),
        diagnostics=DIAGNOSTICS,
    log:
        f"{PLAN.folder}/logs/report.log",
    localrule: True
    shell:
        "{STEP}.report --config {params.config:q} --fingerprint {params.fingerprint:q} --folder {PLAN.folder}"
        " --diagnostics {params.diagnostics} --histories {input.histories:q} --readme {input.readme:q}"
        " --summary {output.summary:q} --report {output.report:q} 2> {log:q}"
