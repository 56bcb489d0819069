import pytest

from dse.errors import InvalidFile
from dse.training.history import EpochRecord, read_history, write_history


def record(epoch):
    return EpochRecord(
        epoch=epoch,
        learning_rate=0.1 / 3,
        training_loss=2.0,
        training_error=1e-17,
        validation_loss=1 / 7,
        validation_error=0.25,
        seconds=12.5,
    )


def test_every_number_comes_back_as_it_was(tmp_path):
    history = (record(1), record(2))
    write_history(tmp_path, history)
    assert read_history(tmp_path) == history


@pytest.mark.parametrize("line", ["2,0.1", "2,a,1,1,1,1,1", "x,1,1,1,1,1,1", "2,1,1,1,1,1,1,1"])
def test_a_line_that_is_no_record_is_named(tmp_path, line):
    write_history(tmp_path, [record(1)])
    path = tmp_path / "history.csv"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(InvalidFile) as error:
        read_history(tmp_path)
    assert str(error.value) == f"not a record of an epoch ({path}:3)"


def test_a_folder_without_history_is_named(tmp_path):
    with pytest.raises(InvalidFile, match="does not exist: no epoch was finished in this folder"):
        read_history(tmp_path)
