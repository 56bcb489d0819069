"""Families of networks by name: one file each, under the contract of `family.Family`."""

from dse.design.families.dscnn import DSCNN
from dse.design.families.family import Family
from dse.design.families.matchboxnet import MATCHBOXNET
from dse.design.families.quartznet import QUARTZNET
from dse.design.families.tcresnet import TCRESNET

__all__ = ["DEFAULT", "FAMILIES"]

DEFAULT: Family = MATCHBOXNET
"""Of spaces that do not name theirs."""
FAMILIES: dict[str, Family] = {
    family.name: family for family in (MATCHBOXNET, QUARTZNET, TCRESNET, DSCNN)
}
"""What `space.family` may say."""
