from pathlib import Path

import pytest

from dse.errors import InvalidStudy
from dse.studies.record import read_record


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidStudy, match=r"holds no study \(no resolved\.yaml\)"):
        read_record(tmp_path)


def test_a_record_that_lacks_a_part_is_refused(tmp_path: Path) -> None:
    (tmp_path / "resolved.yaml").write_text(
        "name: x\nbase_folder: .\ndata_folder: .\nobjectives: error\nlimits: {}\ntechnology: {}\n"
    )
    with pytest.raises(InvalidStudy, match=r"objectives, box, accelerator, technology\.name"):
        read_record(tmp_path)
    (tmp_path / "resolved.yaml").write_text("cut short")
    with pytest.raises(InvalidStudy, match="lacks name, base_folder, data_folder, objectives"):
        read_record(tmp_path)


def test_a_record_is_read(tmp_path: Path) -> None:
    (tmp_path / "resolved.yaml").write_text(
        "name: x\nbase_folder: .\ndata_folder: .\nobjectives: [error, macs]\n"
        "limits: {max_macs: 5}\nbox: {error: [0, 1]}\n"
        "accelerator: {name: a}\ntechnology: {name: t}\n"
    )
    record = read_record(tmp_path)
    assert record.objectives == ("error", "macs")
    assert record.limits == {"max_macs": 5}
    assert record.machine == "a, t"
