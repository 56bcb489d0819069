from pathlib import Path

import pytest

from dse.errors import InvalidStudy
from dse.record import read_record


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidStudy, match=r"holds no study \(no resolved\.yaml\)"):
        read_record(tmp_path)


def test_a_record_that_lacks_a_part_is_refused(tmp_path: Path) -> None:
    (tmp_path / "resolved.yaml").write_text("name: x\nobjectives: [error]\nlimits: {}\n")
    with pytest.raises(InvalidStudy, match="lacks box, accelerator, technology"):
        read_record(tmp_path)


def test_a_record_is_read(tmp_path: Path) -> None:
    (tmp_path / "resolved.yaml").write_text(
        "name: x\nobjectives: [error, macs]\nlimits: {max_macs: 5}\nbox: {error: [0, 1]}\n"
        "accelerator: {name: a}\ntechnology: {name: t}\n"
    )
    record = read_record(tmp_path)
    assert record.objectives == ("error", "macs")
    assert record.limits == {"max_macs": 5}
    assert record.machine == "a, t"
