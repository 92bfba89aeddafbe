"""What stands around a network that cannot be run is reported all the same, if something is wrong there."""

import pytest
from whole_trainings import ROWS

from unrolled.checking import examine
from unrolled.errors import UnrolledError


@pytest.fixture
def _no_network(monkeypatch):
    def none(*_):
        raise UnrolledError("nothing here can be run")

    monkeypatch.setattr(examine, "choices", none)


@pytest.mark.usefixtures("_no_network")
def test_a_mistake_around_a_network_that_cannot_be_run_is_reported(tmp_path):
    text = ROWS.replace("params[k] = params[k] + velocity[k]", "p = params[k] + velocity[k]")
    report = examine.examine(tmp_path / "theirs.py", text)
    assert (report.verdict, [f.cause.id for f in report.findings]) == ("wrong", ["no_effect"])
    assert report.untestable[0] == "nothing here can be run"


@pytest.mark.usefixtures("_no_network")
def test_without_a_mistake_it_could_not_be_run(tmp_path):
    with pytest.raises(UnrolledError, match="nothing here"):
        examine.examine(tmp_path / "theirs.py", ROWS)


@pytest.mark.usefixtures("_no_network")
def test_a_sampler_that_stops_does_not_stop_the_training(tmp_path):
    text = ROWS.replace("p = p / p.sum()", "p = p / p.sum() + 0.1").replace(
        "            log.append(loss)", "            log.append(generate(params, 0, 5))"
    )
    found = examine.examine(tmp_path / "theirs.py", text).findings
    assert [(f.quantity, f.cause.id) for f in found] == [("sample", "not_normalised")]
