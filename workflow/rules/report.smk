DIAGNOSTICS = [*OF_DRAWS, *OF_DRAWS_AND_DATA, "losses", "failures"]
PER_OBSERVATION = ["summary.csv", "posterior.nc", "pairs.png", "misspecification.csv", "misspecification.png"]
if not PLAN.source:
    PER_OBSERVATION += ["predictive.csv", "predictive.png", "prior_predictive.png"]
if PLAN.model.alternative_priors:
    PER_OBSERVATION += ["sensitivity.csv", "sensitivity.png"]
OF_DIAGNOSTICS = expand(f"{PLAN.folder}/diagnostics/{{name}}.{{suffix}}", name=DIAGNOSTICS, suffix=["csv", "png"])
OF_OBSERVATIONS = expand(
    f"{OBSERVATIONS}/{{observation}}/{{file}}", observation=PLAN.study.observations, file=PER_OBSERVATION
)


rule report:
    input:
        diagnostics=OF_DIAGNOSTICS,
        observations=OF_OBSERVATIONS,
        manifests=settled(lambda wildcards: [PLAN.manifest_path(split) for split in PLAN.splits]),
        histories=settled(lambda wildcards: PLAN.histories),
        readme=PLAN.readme or [],
    output:
        report=report(PLAN.report, caption="../report/report.rst", category="Report"),
        summary=f"{PLAN.folder}/diagnostics/summary.csv",
    params:
        config=literal(as_json(PLAN.meaning)),
        fingerprint=literal(as_json(PLAN.fingerprint.parts)),
        code=PLAN.code("published", "alternative_priors", "labels"),
        diagnostics=DIAGNOSTICS,
        observations=list(PLAN.study.observations),  # in their order, which JSON does not keep here
    log:
        f"{PLAN.folder}/logs/report.log",
    localrule: True
    shell:
        "{STEP}.report --config {params.config:q} --fingerprint {params.fingerprint:q} --folder {PLAN.folder}"
        " --diagnostics {params.diagnostics} --observations {params.observations:q} --histories {input.histories:q}"
        " --readme {input.readme:q}"
        " --summary {output.summary:q} --report {output.report:q} 2> {log:q}"
