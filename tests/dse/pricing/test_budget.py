import pytest

from cost_models.strict_yaml import parse_yaml
from dse.columns import COST_COLUMNS
from dse.errors import InvalidFile
from dse.pricing.budget import Budget, Limit, budget_from_node


def read(text: str) -> Budget:
    return budget_from_node(parse_yaml(text, "study.yaml"), COST_COLUMNS)


def test_limits_are_read_and_written_back() -> None:
    budget = read("{max_trained_parameters: 80000, min_trained_parameters: 8000}")
    assert budget.to_dict() == {"max_trained_parameters": 80000, "min_trained_parameters": 8000}


def test_a_design_on_the_bound_keeps_it() -> None:
    budget = Budget((Limit("macs", 100), Limit("macs", 50, upper=False)))
    assert budget.violations({"macs": 100}) == ()
    assert budget.violations({"macs": 50}) == ()
    assert [str(limit) for limit in budget.violations({"macs": 101})] == ["macs <= 100"]
    assert [str(limit) for limit in budget.violations({"macs": 49})] == ["macs >= 50"]


def test_excess_is_a_share_of_the_bound() -> None:
    assert Limit("macs", 100).excess({"macs": 150}) == 0.5
    assert Limit("macs", 100, upper=False).excess({"macs": 25}) == 0.75
    assert Limit("macs", 0).excess({"macs": 3}) == 3


def test_the_reason_names_value_and_limit() -> None:
    budget = read("{max_trained_parameters: 80000}")
    assert budget.explain({"trained_parameters": 93_411}) == (
        "trained_parameters is 93,411, limit trained_parameters <= 80,000"
    )
    assert budget.explain({"trained_parameters": 80_000}) == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_params: 3", "unknown limit 'max_params': write max_ or min_ and a column: trained_"),
        ("max_error: 3", "unknown limit 'max_error'"),
        ("{max_macs: many}", "max_macs must be a number, not 'many' (study.yaml:1)"),
        ("max_macs: .nan", "max_macs must be a finite number from 0 up, not nan (study.yaml:1)"),
        ("max_macs: .inf", "max_macs must be a finite number from 0 up, not inf"),
        ("min_macs: -1", "min_macs must be a finite number from 0 up, not -1"),
        (
            "{max_macs: 10, min_macs: 20}",
            "no design can meet min_macs 20 and max_macs 10: the minimum is above the maximum",
        ),
        ("[1]", "limits must be a mapping"),
    ],
)
def test_bad_limits_are_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        read(text)
    assert message in str(caught.value)
