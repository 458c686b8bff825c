# cinnflow: simulate -> seal -> train -> draws -> diagnostics, posteriors of the observations -> report.
# What a rule does stands in src/cinnflow/steps; what a study wants, in its configuration.
if not workflow.configfiles:
    configfile: "config.yaml"

include: "workflow/rules/common.smk"


# First in the file, so that it is the default target. The commit records, the fits, the draws and what the report reads
# are targets beside it, so that one that is missing is noticed even where everything after it is up to date.
rule all:
    input:
        settled(lambda wildcards: [chunk for split in PLAN.splits for chunk in PLAN.status_chunks(split)]),
        settled(lambda wildcards: [PLAN.manifest_path(split) for split in PLAN.splits]),
        settled(lambda wildcards: [*PLAN.newest_fits, *PLAN.histories]),
        lambda wildcards: [DRAWS, *expand(POSTERIOR_DRAWS, observation=PLAN.study.observations)],
        lambda wildcards: [*OF_DIAGNOSTICS, *OF_OBSERVATIONS, rules.report.output.summary],
        PLAN.report,
    localrule: True


include: "workflow/rules/simulate.smk"
include: "workflow/rules/propose.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/diagnose.smk"
include: "workflow/rules/infer.smk"
include: "workflow/rules/report.smk"
