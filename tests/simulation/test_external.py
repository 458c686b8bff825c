import errno
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulating import processes_of, simulate

from cinnflow.simulation.external import ExternalSimulator, _decimal
from cinnflow.simulation.outcome import Status
from waiting import eventually, is_alive

ECHO = """
import json, os, sys
json.dump({"arguments": sys.argv[1:], "environment": dict(os.environ), "folder": os.getcwd(),
           "listing": os.listdir(), "stdin": sys.stdin.read()}, open("report.json", "w"))
"""


def shell(script, out="x.csv", **options):
    """A simulator that runs a shell script, in which $1 is the file to write."""
    return ExternalSimulator(["sh", "-c", script.replace("{", "{{").replace("}", "}}"), "sh", "{out}"], out, **options)


def report(tmp_path, *arguments, theta=(1.0,), names=("beta",), **limits):
    """What a program sees of itself."""
    (tmp_path / "echo.py").write_text(ECHO)
    simulator = ExternalSimulator(
        [sys.executable, "-I", "-S", "echo.py", *arguments],
        "report.json",
        read=lambda path: {"n": len(path.read_text()), "bytes": list(path.read_bytes())},
    )
    (outcome,) = simulate(simulator, tmp_path, [theta], names, **limits)
    assert outcome.status is Status.OK, outcome.message
    return json.loads(bytes(outcome.data["bytes"].astype(np.uint8)))


X = np.arange(6.0).reshape(3, 2)


def write_hdf5(path):
    with h5py.File(path, "w") as file:
        file["a"] = X
        file["b"] = 1.5


@pytest.mark.parametrize(
    ("name", "write", "expected"),
    [
        (
            "x.csv",
            lambda path: path.write_text("day,I,R\n1978-01-22,1,2\n1978-01-23,3,4.5\n"),
            {"I": [1, 3], "R": [2, 4.5]},
        ),
        ("x.csv", lambda path: path.write_text("# made by hand\n1,2\n\n3,4\n"), {"x": [[1, 2], [3, 4]]}),
        ("x.json", lambda path: path.write_text('{"a": [1, 2], "b": 3}'), {"a": [1, 2], "b": 3}),
        ("x.json", lambda path: path.write_text("[[1, 2], [3, 4]]"), {"x": [[1, 2], [3, 4]]}),
        ("x.npy", lambda path: np.save(path, X), {"x": X}),
        ("x.npz", lambda path: np.savez(path, a=X, b=np.int8(3)), {"a": X, "b": 3}),
        ("x.h5", write_hdf5, {"a": X, "b": 1.5}),
        ("x.hdf5", write_hdf5, {"a": X, "b": 1.5}),
    ],
)
def test_the_suffix_of_the_output_says_how_it_is_read(tmp_path, name, write, expected):
    write(tmp_path / f"prepared-{name}")
    (outcome,) = simulate(ExternalSimulator(["cp", f"prepared-{name}", "{out}"], name), tmp_path)
    assert (outcome.status, outcome.exit_code, outcome.message) == (Status.OK, 0, "")
    assert outcome.data.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(outcome.data[key], value)
        assert outcome.data[key].dtype == np.float64


def test_a_reader_of_the_users_own(tmp_path):
    simulator = shell('echo "1;2;3" > "$1"', "x.txt", read=lambda path: np.fromstring(path.read_text(), sep=";"))
    (outcome,) = simulate(simulator, tmp_path)
    np.testing.assert_array_equal(outcome.data["x"], [1, 2, 3])


def test_what_a_program_prints_may_be_its_output(tmp_path):
    simulator = ExternalSimulator(["sh", "-c", "echo {a},2"], "deep/x.csv", stdout=True)
    (outcome,) = simulate(simulator, tmp_path, [(5.0,)], ["a"])
    np.testing.assert_array_equal(outcome.data["x"], [[5, 2]])
    (outcome,) = simulate(ExternalSimulator(["sh", "-c", "echo 1; exit 2"], "x.csv", stdout=True), tmp_path)
    assert (outcome.status, outcome.exit_code) == (Status.CRASHED, 2)


def test_placeholders(tmp_path):
    said = report(
        tmp_path, "{params}", "--beta={beta}", "{gamma}", "{seed}", "{out}", "{workdir}", "{{beta}}", "a;b $HOME `id`",
        theta=(-1.5e-7, 3.0), names=("beta", "gamma"),
    )  # fmt: skip
    params, beta, gamma, seed, out, workdir, braces, odd = said["arguments"]
    assert (beta, gamma, seed) == ("--beta=-0.00000015", "3", "0")
    assert (braces, odd) == ("{beta}", "a;b $HOME `id`")
    assert (out, workdir) == (f"{said['folder']}/report.json", said["folder"])
    assert Path(said["folder"]).is_relative_to(tmp_path / "work")
    assert not params.startswith(said["folder"])
    assert said["listing"] == []
    assert said["stdin"] == ""


def test_parameters_come_by_name_in_full_precision(tmp_path):
    theta = (0.1, -1 / 3, 1e-300)
    simulator = ExternalSimulator(["cp", "{params}", "{out}"], "x.json")
    (outcome,) = simulate(simulator, tmp_path, [theta], ["c", "a", "b"])
    assert {name: float(value) for name, value in outcome.data.items()} == dict(zip("cab", theta, strict=True))


def test_every_simulation_gets_its_own_seed(tmp_path):
    outcomes = simulate(ExternalSimulator(["sh", "-c", 'echo {seed} > "{out}"'], "x.csv"), tmp_path, [(1,)] * 3)
    assert [float(outcome.data["x"][0, 0]) for outcome in outcomes] == [0, 1, 2]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_value_is_written_in_plain_decimals_that_give_it_back(value):
    text = _decimal(value)
    assert float(text) == value
    assert text.lstrip("-").replace(".", "", 1).isdecimal()


def test_a_negative_value_is_no_option_to_argparse(tmp_path):
    (tmp_path / "program.py").write_text(
        "import argparse\n"
        "p = argparse.ArgumentParser()\n"
        "p.add_argument('--beta', type=float)\np.add_argument('gamma', type=float)\np.add_argument('--out')\n"
        "a = p.parse_args()\nopen(a.out, 'w').write(f'{a.beta},{a.gamma}')\n"
    )
    command = [sys.executable, "-I", "-S", "program.py", "--beta", "{beta}", "{gamma}", "--out", "{out}"]
    (outcome,) = simulate(ExternalSimulator(command, "x.csv"), tmp_path, [(-1e-9, -2e5)], ["beta", "gamma"])
    np.testing.assert_array_equal(outcome.data["x"], [[-1e-9, -2e5]])


@pytest.mark.parametrize("threads", [1, 2])
def test_each_simulation_computes_with_one_thread(tmp_path, monkeypatch, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("OWN", "kept")
    environment = report(tmp_path, threads=threads)["environment"]
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "OWN")
    assert [environment[name] for name in names] == ["1", "1", "1", "1", "kept"]
    assert environment["PYTHONHASHSEED"] == "0"


@pytest.mark.parametrize(
    ("script", "status", "exit_code", "says"),
    [
        ("echo no convergence >&2; exit 3", Status.CRASHED, 3, "exit code 3\nno convergence"),
        ("kill -SEGV $$", Status.CRASHED, -11, "ended by SIGSEGV"),
        ("echo half done >&2; exec sleep 60", Status.TIMED_OUT, -9, "ended after its time limit of 0.5 s\nhalf done"),
        ("echo lost >&2", Status.UNREADABLE, 0, "but no file x.csv: the program has to write {out}; where"),
        ("./program 1", Status.CRASHED, 127, "exit code 127: it runs in an empty folder"),
        ('mkdir "$1"', Status.UNREADABLE, 0, "no file x.csv"),
        (': > "$1"', Status.UNREADABLE, 0, "x.csv could not be read: ValueError: the file holds no rows"),
        ("printf 'a,b\\n1,2\\n3\\n' > \"$1\"", Status.UNREADABLE, 0, "x.csv could not be read"),
        ("printf '1,nan\\n' > \"$1\"", Status.NOT_FINITE, 0, "1 values of 2 that are not finite"),
    ],
)
def test_a_failure_is_an_outcome_with_its_reason(tmp_path, script, status, exit_code, says):
    (outcome,) = simulate(shell(script), tmp_path, timeout=0.5 if status is Status.TIMED_OUT else 30)
    assert (outcome.status, outcome.exit_code, outcome.data) == (status, exit_code, {})
    assert says in outcome.message
    assert outcome.seconds > 0
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [("x.json", "{"), ("x.npy", "x"), ("x.npz", "x"), ("x.h5", "x"), ("x.json", '{"a": {"b": 1}}'),
     ("x.json", "[1, [2]]"), ("x.json", f"[{10**400}]"), ("x.json", "{}"), ("x.json", "[]"), ("x.json", "null"),
     ("x.json", '{"a/b": 1}'), ("x.json", '{"..": 1}'), ("x.csv", "one,two\nthree,four\n"),
     ("x.csv", "a,b\n1,x\n2,2\n"), ("x.csv", "a,a\n1,2\n")],
)  # fmt: skip
def test_malformed_output_is_unreadable(tmp_path, name, content):
    (tmp_path / f"prepared-{name}").write_text(content)
    (outcome,) = simulate(ExternalSimulator(["cp", f"prepared-{name}", "{out}"], name), tmp_path)
    assert outcome.status is Status.UNREADABLE
    assert outcome.message


def test_pickles_are_not_run(tmp_path):
    np.save(tmp_path / "prepared.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (outcome,) = simulate(ExternalSimulator(["cp", "prepared.npy", "{out}"], "x.npy"), tmp_path)
    assert outcome.status is Status.UNREADABLE


def test_a_reader_that_ends_the_process_loses_its_own_simulation_alone(tmp_path):
    def read(path):
        value = float(path.read_text())
        if value == 2:
            os._exit(7)
        return value

    simulator = ExternalSimulator(["sh", "-c", 'echo {beta} > "{out}"'], "x.txt", read=read)
    outcomes = simulate(simulator, tmp_path, [(1,), (2,), (3,)])
    assert [outcome.status for outcome in outcomes] == [Status.OK, Status.CRASHED, Status.OK]
    assert outcomes[1].exit_code == 7


def test_only_the_tail_of_standard_error_is_kept(tmp_path):
    (outcome,) = simulate(shell("seq 100000 >&2; printf '\\377end' >&2; exit 1"), tmp_path)
    assert outcome.message.startswith("exit code 1\n")
    assert outcome.message.endswith("\n99999\n100000\n�end")
    assert len(outcome.message) < 3000


@pytest.mark.parametrize("ending", ["sleep 60", "exit 0"])
@pytest.mark.parametrize("start", ["sh", "setsid sh", "setsid setsid --fork sh"])
def test_a_grandchild_does_not_outlive_its_program(tmp_path, ending, start):
    pid = tmp_path / "pid"
    script = f"{start} -c 'echo $$ >{pid}; exec sleep 61' & echo 1 > \"$1\"; while ! [ -s {pid} ]; do :; done; {ending}"
    (outcome,) = simulate(shell(script), tmp_path, timeout=1)
    assert outcome.status is (Status.OK if ending == "exit 0" else Status.TIMED_OUT)
    assert eventually(lambda: not is_alive(int(pid.read_text())))


def test_what_the_reader_has_started_outlives_a_program(tmp_path):
    helpers = []

    def read(_):
        helpers.append(subprocess.Popen(["sleep", "61"]))
        return np.array([helper.poll() is None for helper in helpers][:1], float)

    simulator = ExternalSimulator(["sh", "-c", "setsid sleep 61 & touch x.csv"], "x.csv", read=read)
    outcomes = simulate(simulator, tmp_path, [[1.0], [2.0]])
    assert [float(outcome.data["x"][0]) for outcome in outcomes] == [1.0, 1.0]


def test_attempts_are_for_crashes_and_time_outs(tmp_path):
    tries = tmp_path / "tries"
    shaky = f'echo >> {tries}; [ $(wc -l < {tries}) -ge 3 ] && echo 1 > "$1"'
    (outcome,) = simulate(shell(shaky), tmp_path, attempts=5)
    assert (outcome.status, outcome.attempts) == (Status.OK, 3)
    (outcome,) = simulate(shell("exit 1"), tmp_path, attempts=2)
    assert (outcome.status, outcome.attempts) == (Status.CRASHED, 2)
    (outcome,) = simulate(shell("true"), tmp_path, attempts=2)
    assert (outcome.status, outcome.attempts) == (Status.UNREADABLE, 1)


def test_working_folders_of_failures_are_kept_on_request(tmp_path):
    simulator = ExternalSimulator(["sh", "-c", "echo {beta} > notes; [ {beta} = 1 ] && echo 1 > x.csv"], "x.csv")
    thetas = [(1,), (2,), (3,), (4,)]
    simulate(simulator, tmp_path, thetas, threads=2, keep_failed=2)
    kept = sorted((tmp_path / "failed").iterdir())
    assert len(kept) == 2
    assert {(folder / "run/notes").read_text() for folder in kept} <= {"2\n", "3\n", "4\n"}
    assert all((folder / "params.json").is_file() for folder in kept)
    simulate(simulator, tmp_path, thetas, keep_failed=2)
    assert sorted((tmp_path / "failed").iterdir()) == kept, "the same failures again take no more room"
    assert list((tmp_path / "work").iterdir()) == []


def test_working_folders_vanish_and_no_process_is_left(tmp_path):
    simulate(shell('echo 1 > "$1"; mkdir -p deep/er; touch deep/er/file'), tmp_path, [(1,)] * 3, threads=2)
    assert list((tmp_path / "work").iterdir()) == []
    assert not (tmp_path / "failed").exists()
    assert eventually(lambda: not processes_of(tmp_path))


def test_programs_beside_the_model_file(tmp_path):
    program = tmp_path / "with space" / "program"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\ncp "$1" "$2"\n')
    program.chmod(0o755)
    (tmp_path / "table.csv").write_text("1,2\n")
    simulator = ExternalSimulator(["./with space/program", "table.csv", "{out}"], "x.csv", files=["table.csv"])
    (outcome,) = simulate(simulator, tmp_path)
    assert outcome.status is Status.OK, outcome.message
    assert simulator.files == ["table.csv", "with space/program"]


@pytest.mark.parametrize(
    ("command", "out", "says"),
    [
        ("./program", "x.csv", "takes a list"),
        ([], "x.csv", "takes a list"),
        (["true"], "x.dat", "suffix"),
        (["true"], "/tmp/x.csv", "below the folder"),
        (["true"], "../x.csv", "below the folder"),
    ],
)
def test_what_makes_no_simulator(command, out, says):
    with pytest.raises(ValueError, match=says):
        ExternalSimulator(command, out)


@pytest.mark.parametrize(
    ("command", "names", "error", "says"),
    [
        (
            ["true", "{bta}"],
            ["beta"],
            ValueError,
            r"cannot fill in {bta}; takes {params}, {seed}, {out}, {workdir}, {beta}",
        ),
        (["true", "{}"], ["beta"], ValueError, "takes {params}"),
        (["true", "{beta:.2f}"], ["beta"], ValueError, "takes {params}"),
        (["true", "{beta.real}"], ["beta"], ValueError, "takes {params}"),
        (["true", "}"], ["beta"], ValueError, "for plain braces"),
        (["true"], ["seed"], ValueError, "a parameter named 'seed'"),
        (["no-such-program-anywhere"], ["beta"], FileNotFoundError, "not found on PATH"),
        (["./absent"], ["beta"], FileNotFoundError, "no such executable file"),
    ],
)
def test_commands_that_cannot_be_run_are_refused_before_anything_runs(tmp_path, command, names, error, says):
    with pytest.raises(error, match=says):
        ExternalSimulator(command, "x.csv").bind(names, tmp_path)


def test_a_long_script_is_no_file_name(tmp_path):
    script = f"true {shlex.quote('x' * 5000)}; echo 1 > x.csv"
    (outcome,) = simulate(ExternalSimulator(["sh", "-c", script], "x.csv"), tmp_path)
    assert outcome.status is Status.OK


def test_a_program_that_cannot_be_started_is_a_failure(tmp_path):
    program = tmp_path / "program"
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o755)
    (outcome,) = simulate(ExternalSimulator(["./program"], "x.csv"), tmp_path)
    assert outcome.status is Status.CRASHED
    assert "could not be started" in outcome.message


def test_a_folder_with_braces_in_its_name(tmp_path):
    folder = tmp_path / "{p0} and {curly}"
    folder.mkdir()
    program = folder / "program"
    program.write_text('#!/bin/sh\ncp "$1" "$2"\n')
    program.chmod(0o755)
    (folder / "table.csv").write_text("1,2\n")
    (outcome,) = simulate(ExternalSimulator(["./program", "table.csv", "{out}"], "x.csv"), folder)
    assert outcome.status is Status.OK, outcome.message


def test_a_machine_that_is_short_of_something_ends_the_batch(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr("cinnflow.simulation.external.subprocess.Popen", fail)
    with pytest.raises(OSError, match="temporarily unavailable"):
        simulate(ExternalSimulator(["true"], "x.csv"), tmp_path)


def test_output_that_is_read_too_slowly_is_not_the_programs_doing(tmp_path, monkeypatch):
    monkeypatch.setattr("cinnflow.simulation.workers.READING_GRACE", 0.5)
    simulator = ExternalSimulator(["touch", "x.csv"], "x.csv", read=lambda _: time.sleep(60))
    (outcome,) = simulate(simulator, tmp_path, timeout=0.5)
    assert outcome.status is Status.TIMED_OUT
    assert "its output was not read within 0.5 s more than its time limit" in outcome.message


def test_a_process_group_of_its_own_does_not_outlive_the_time_limit(tmp_path):
    pid = tmp_path / "pid"
    # `timeout` makes such a group, as shells with job control and many launchers do.
    script = f"timeout 99 sh -c 'echo $$ > {pid}; exec sleep 61'"
    (outcome,) = simulate(shell(script), tmp_path, timeout=1)
    assert outcome.status is Status.TIMED_OUT
    assert eventually(lambda: not is_alive(int(pid.read_text())))
