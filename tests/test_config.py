"""Configurations: defaults, and mistakes that are told by key, value and what is taken."""

import datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cinnflow.config import (
    OF_RUNNING,
    SOURCE_BATCH_SIZE,
    ConfigError,
    Diagnostics,
    Study,
    check_study,
    read_raw,
    schema,
)
from cinnflow.report.report import SECTIONS

ROOT = Path(__file__).parent.parent
LEAST = {"study": "mine", "model": "model.py"}


def test_everything_but_study_and_model_has_a_default():
    study = check_study(LEAST)
    assert (study.study, study.model) == ("mine", "model.py")
    with pytest.raises(ConfigError, match=r"model: is missing"):
        check_study({"study": "mine"})


def test_the_schema_in_the_repository_is_up_to_date():
    assert (ROOT / "workflow/schemas/config.schema.json").read_text() == schema(), "run `make schema`"


@pytest.mark.parametrize("path", [ROOT / "config.yaml", *sorted((ROOT / "workflow/models").glob("*/config.yaml"))])
def test_the_configurations_of_the_project_are_right(path):
    assert check_study(read_raw(path), str(path)).study


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"simulations": {"per_rund": 3}}, "simulations.per_rund: no such key; did you mean per_round?"),
        ({"model": ""}, "model: got ''; takes the path of a model file"),
        ({"modell": 3}, "modell: no such key; did you mean model?"),
        ({"simulations": {"rounds": "two"}}, "simulations.rounds: got 'two'; takes"),
        ({"simulations": {"rounds": 2.5}}, "simulations.rounds: got 2.5; takes"),
        ({"simulations": {"rounds": 0}}, "simulations.rounds: got 0; takes"),
        ({"simulations": {"rounds": {"max": 3}}}, "simulations.rounds.stop_below: is missing"),
        ({"simulations": {"rounds": {"max": 0, "stop_below": 0.1}}}, "simulations.rounds.max: got 0; takes"),
        ({"simulations": {"proposal": "truncated"}}, "proposal: got 'truncated'; takes a simulations.observation"),
        ({"simulations": {"observation": "a"}}, "takes an observation beside proposal: truncated alone"),
        (
            {"model_options": {"start": datetime.date(1978, 1, 22)}},
            "model_options.start: got datetime.date(1978, 1, 22)",
        ),
        ({"model_options": {"doses": {1: 0.5}}}, "model_options.doses: got {1: 0.5}; takes numbers, text"),
        ({"model_options": {"doses": [{"a": {True: 1}}]}}, "put quotes around a date, and around a name that is a"),
        ({"network": {"summary": {"type": "Own", "sizes": {1: 8}}}}, "network.summary.sizes: got {1: 8}; takes num"),
        ({"diagnostics": {"recovery": {"bins": 4}}}, "diagnostics.recovery.bins: no such key; takes none"),
        ({"simulations": {"test": 1}}, "simulations.test: got 1; takes greater than or equal to 2"),
        ({"simulations": {"timeout": -1}}, "simulations.timeout: got -1; takes"),
        ({"simulations": {"max_failed": 2}}, "simulations.max_failed: got 2; takes"),
        ({"network": {"summary": {"type": "a b"}}}, "network.summary.type: got 'a b'; takes deep_set, set_transformer"),
        ({"network": {"summary": {"type": "set_transformer", "units": 65}}}, "network.summary: got"),
        (
            {"network": {"summary": {"type": "deep_set", "unitz": 3}}},
            "network.summary.unitz: no such key; did you mean units?",
        ),
        ({"network": {"summary": {"type": "deep_set", "units": "x"}}}, "network.summary.units: got 'x'; takes"),
        (
            {"network": {"summary": {"type": "none"}, "summary_loss": "mmd"}},
            "takes summary_loss with a summary network",
        ),
        ({"training": 3}, "training: got 3; takes keys with values: regime, epochs"),
        ({"training": {"learning_rate": True}}, "training.learning_rate: got True; takes a valid number"),
        (
            {"network": {"inference": {"kernel_regularizer": True}}},
            "kernel_regularizer: got True; takes a valid number",
        ),
        ({"network": {"inference": {"dropout_prob": False}}}, "dropout_prob: got False; takes a valid number"),
        ({"network": {"summary": "deep_set"}}, "network.summary: got 'deep_set'; takes a type and its settings, like"),
        (
            {"network": {"inference": {"coupling": "interleaved", "num_coupling_layers": 1, "bins": 4}}},
            "takes num_coupling_layers from 2 on with the coupling interleaved",
        ),
        ({"training": {"regime": "on-line"}}, "training.regime: got 'on-line'; takes 'online'"),
        ({"simulations": {"per_round": 2}}, "at least 3 simulations to train on: raise simulations.per_round"),
        ({"simulations": {"per_round": 1, "rounds": 2}, "training": {"regime": "offline"}}, "at least 3 simulations"),
        ({"training": {"regime": "online", "validation_share": 0.1}}, "validation_share with the regime rounds or"),
        ({"training": {"regime": "online", "buffer_capacity": 9}}, "buffer_capacity with the regime replay alone"),
        ({"training": {"iterations_per_epoch": 9}}, "iterations_per_epoch with the regime online or replay alone"),
        ({"observations": ["a"]}, "observations: got ['a']; takes keys with values"),
        ({"observations": {"a/b": "x.csv"}}, "observations: got"),
        ({"study": True}, "study: got True, which is no text in YAML: put quotes around it"),
        ({"observations": {1978: "x.csv"}}, "observations: got the name 1978, which is no text in YAML: put quotes ar"),
        ({"study": "simulations"}, "study: got 'simulations'; takes a name other than"),
        ({"study": "../up"}, "study: got '../up'; takes a name of letters"),
        ({"seed": -1}, "seed: got -1; takes"),
        ({"seed": True}, "seed: got True; takes"),
    ],
)
def test_a_mistake_is_told_by_its_key_what_it_got_and_what_it_takes(wrong, says):
    with pytest.raises(ConfigError) as error:
        check_study(LEAST | wrong, "config.yaml")
    assert says in str(error.value)
    assert str(error.value).startswith("config.yaml cannot be used:")


def test_simulations_made_elsewhere_need_no_model():
    study = check_study({"study": "mine", "simulations": {"source": "sims.h5", "test": 100}})
    assert (study.model, study.simulations.batch_size) == (None, SOURCE_BATCH_SIZE)
    assert not set(OF_RUNNING) & set(study.model_dump()["simulations"])
    assert check_study(study.model_dump()) == study
    assert check_study(LEAST | {"simulations": {"source": "sims.h5", "batch_size": 8}}).simulations.batch_size == 8
    with pytest.raises(ConfigError, match=r"model: is missing"):
        check_study({"study": "mine", "model": None, "simulations": {"source": None}})


@pytest.mark.parametrize("key", OF_RUNNING)
def test_settings_of_simulations_that_are_run_are_refused_beside_a_source(key):
    default = getattr(check_study(LEAST).simulations, key)
    with pytest.raises(
        ConfigError, match=rf"simulations.{key}: got {default!r}; takes no value beside simulations.sour"
    ):
        check_study(LEAST | {"simulations": {"source": "sims.h5", key: default}})


def test_every_mistake_is_told_at_once():
    with pytest.raises(ConfigError) as error:
        check_study({"study": "a b", "modl": 1})
    assert len(str(error.value).splitlines()) == 4


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner), max_leaves=5))
def test_whatever_the_file_holds_there_is_an_answer(raw):
    with pytest.raises(ConfigError):
        check_study(raw)


def test_a_file_that_is_not_there_or_not_yaml(tmp_path):
    with pytest.raises(ConfigError, match="no configuration file"):
        read_raw(tmp_path / "config.yaml")
    with pytest.raises(ConfigError, match=r"cannot be read \(.*Is a directory.*\); takes a YAML file in UTF-8"):
        read_raw(tmp_path)
    (tmp_path / "config.yaml").write_bytes("# Größe".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"cannot be read .*takes a YAML file in UTF-8"):
        read_raw(tmp_path / "config.yaml")
    (tmp_path / "config.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match="is not YAML"):
        read_raw(tmp_path / "config.yaml")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("study: a\nmodel: m.py\nstudy: b\n", "the key study stands twice in one section, lines 1 and 3: leave one"),
        ("study: a\nobservations: {a: x.csv, b: y.csv, a: z.csv}\n", "the key a stands twice in one section, line 2:"),
    ],
)
def test_a_key_that_stands_twice_is_refused(tmp_path, text, says):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError, match=f"config.yaml: {says}"):
        read_raw(tmp_path / "config.yaml")
    (tmp_path / "config.yaml").write_text("a: &a {x: 1}\nb: &b {<<: *a, x: 2}\nc: {<<: *b, x: 3}\n")
    assert read_raw(tmp_path / "config.yaml")["c"] == {"x": 3}


def test_a_study_survives_its_own_dump():
    study = check_study(LEAST)
    assert Study.model_validate(yaml.safe_load(yaml.safe_dump(study.model_dump()))) == study


def test_the_type_of_the_summary_network_has_a_default_too():
    study = check_study(LEAST | {"network": {"summary": {"summary_dim": 3}}})
    assert (study.network.summary.type, study.network.summary.summary_dim) == ("deep_set", 3)


def test_each_diagnostic_has_a_section_though_it_has_no_settings():
    names = [name for section in SECTIONS.values() for name in section]
    assert check_study(LEAST | {"diagnostics": {name: {} for name in names}}) == check_study(LEAST)
    assert set(names) == Diagnostics.model_fields.keys() - {"draws"}


def test_a_section_that_is_left_empty_is_its_default():
    empty = {"training": None, "network": {"summary": None}, "observations": None, "diagnostics": {"sbc": None}}
    assert check_study(LEAST | empty) == check_study(LEAST)
