import math

import pytest

from cost_models.application import (
    Asleep,
    average_power_uw,
    battery_days,
    busy_share,
    energy_per_second_of_audio_uj,
    inferences_per_second,
)
from cost_models.band import ZERO, Band
from cost_models.errors import InvalidField, InvalidInput

ENERGY_PJ = Band(low=1e6, mid=2e6, high=5e6)
LEAKAGE_UW = Band(low=1.0, mid=10.0, high=20.0)
CUT = Asleep()


def test_rate_is_the_inverse_of_latency():
    # 250 us each: 4,000 a second.
    assert inferences_per_second(250.0) == 4000.0


def test_busy_share_by_hand():
    # 10 inferences of 250 us: 2.5 ms of each second.
    assert busy_share(250.0, 10.0) == pytest.approx(0.0025)


def test_average_power_always_on_by_hand():
    # 10 a second: 1, 2, 5 uJ * 10 / s = 10, 20, 50 uW, and all the leakage.
    power = average_power_uw(ENERGY_PJ, 250.0, LEAKAGE_UW, 10.0)
    assert power.as_tuple() == pytest.approx((11.0, 30.0, 70.0))


def test_average_power_duty_cycled_by_hand():
    # Leakage in 0.25 % of the time: 0.0025, 0.025, 0.05 uW.
    power = average_power_uw(ENERGY_PJ, 250.0, LEAKAGE_UW, 10.0, asleep=CUT)
    assert power.as_tuple() == pytest.approx((10.0025, 20.025, 50.05))


def test_duty_cycling_saves_nothing_at_full_rate():
    always = average_power_uw(ENERGY_PJ, 250.0, LEAKAGE_UW, 4000.0)
    cycled = average_power_uw(ENERGY_PJ, 250.0, LEAKAGE_UW, 4000.0, asleep=CUT)
    assert cycled.as_tuple() == pytest.approx(always.as_tuple())


def test_energy_per_second_of_audio_by_hand():
    # An inference for every 10 ms of audio: 100 a second, 100 * 2 uJ + 10 uW * 1 s.
    energy = energy_per_second_of_audio_uj(ENERGY_PJ, 250.0, LEAKAGE_UW, 0.010)
    assert energy.as_tuple() == pytest.approx((101.0, 210.0, 520.0))
    # Duty cycled: 2.5 % of the leakage.
    energy = energy_per_second_of_audio_uj(ENERGY_PJ, 250.0, LEAKAGE_UW, 0.010, asleep=CUT)
    assert energy.as_tuple() == pytest.approx((100.025, 200.25, 500.5))


def test_battery_life_by_hand():
    # 240 mWh: 10 mWh a day for 24 days are 416.67 uW. 1,000 uW: 240 hours.
    days = battery_days(Band(low=500.0, mid=1000.0, high=2000.0), 240.0)
    assert days.as_tuple() == pytest.approx((5.0, 10.0, 20.0))


def test_refuses_a_rate_that_the_latency_cannot_keep():
    with pytest.raises(InvalidInput) as error:
        average_power_uw(ENERGY_PJ, 250.0, LEAKAGE_UW, 10_000.0)
    assert str(error.value) == (
        "10,000 inferences a second do not fit: at 250 us each, at most 4,000 do; lower the rate "
        "or raise the clock"
    )
    with pytest.raises(InvalidInput, match="100 inferences a second do not fit"):
        energy_per_second_of_audio_uj(ENERGY_PJ, 20_000.0, LEAKAGE_UW, 0.010)


def test_accepts_the_rate_that_just_fits():
    for latency_us in range(1, 1000):
        share = busy_share(latency_us, inferences_per_second(latency_us))
        assert 1 - 1e-12 < share <= 1.0
    with pytest.raises(InvalidInput):
        busy_share(250.0, 4000.001)


@pytest.mark.parametrize("latency_us", [0.0, -1.0, math.nan, math.inf])
def test_refuses_a_latency_that_is_none(latency_us):
    for call in (
        lambda: inferences_per_second(latency_us),
        lambda: average_power_uw(ENERGY_PJ, latency_us, LEAKAGE_UW, 1.0),
    ):
        with pytest.raises(InvalidField) as error:
            call()
        assert str(error.value) == f"latency_us must be a positive number, not {latency_us!r}"


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf])
def test_refuses_rates_hops_and_batteries_that_are_none(wrong):
    with pytest.raises(InvalidField, match="inferences_per_second must be a positive number"):
        average_power_uw(ENERGY_PJ, 250.0, LEAKAGE_UW, wrong)
    with pytest.raises(InvalidField, match="audio_s_per_inference must be a positive number"):
        energy_per_second_of_audio_uj(ENERGY_PJ, 250.0, LEAKAGE_UW, wrong)
    with pytest.raises(InvalidField, match="battery_mwh must be a positive number"):
        battery_days(LEAKAGE_UW, wrong)


def test_refuses_negative_energy_and_no_power():
    negative = Band(low=-1.0, mid=0.0, high=1.0)
    with pytest.raises(InvalidField, match=r"energy_pj must be at least 0, not -1\.0"):
        average_power_uw(negative, 250.0, LEAKAGE_UW, 1.0)
    with pytest.raises(InvalidField, match=r"leakage_uw must be at least 0, not -1\.0"):
        average_power_uw(ENERGY_PJ, 250.0, negative, 1.0)
    with pytest.raises(InvalidField, match=r"average_power_uw must be above 0, not 0\.0"):
        battery_days(ZERO, 1.0)
