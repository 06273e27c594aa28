"""Pictures that show the same thing and so must be in one split: sets whose authors publish none, split by us.

By the hash of the file name alone, a fifth of Ships' val pictures had a near-duplicate in its training part, and
frames of one flight of HIT-UAV lay on both sides. The groups are fixed lists, made once by tools/together.py from the
pixels, so that a picture's place never depends on which other files are there. A picture that is in no group (the rest
of Ships' 621, other frames) is placed by its own name.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from rsvlm.data.sources.layout import hashed_split


def ships(file: str) -> str:
    """The split of a picture of Ships: val only where all of its group hash to val.

    So val is what it was, without the pictures that had a copy in train: a model that was trained before the groups
    were known has seen none of it.
    """
    return "val" if all(hashed_split(one) == "val" for one in SHIPS.get(Path(file).stem, (file,))) else "train"


def hit_uav(file: str) -> str:
    """The split of a frame of HIT-UAV, where it comes without a published one: that of its group's first frame.

    Groups are whole flights here; hardly any would be val by the rule of `ships`. A model that was trained before the
    groups were known has seen some of these val frames.
    """
    return hashed_split(HIT_UAV.get(Path(file).stem, (file,))[0])


def _by_stem(lines: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for line in lines.strip().splitlines():  # a backslash in the literals joins lines
        group = tuple(line.split())
        yield from ((stem, group) for stem in group)


# stem -> all stems of its group, sorted: near-duplicates
SHIPS: Mapping[str, tuple[str, ...]] = dict(
    _by_stem(
        """
boat0 boat45
boat100 boat301 boat82 boat96
boat101 boat441
boat107 boat145
boat11 boat85
boat113 boat306 boat368
boat121 boat288
boat122 boat651
boat127 boat175 boat183 boat239 boat266 boat364 boat412 boat445 boat49 boat523 boat584 boat98
boat136 boat36
boat142 boat178
boat15 boat155
boat172 boat324 boat350
boat173 boat359
boat177 boat72
boat181 boat307 boat321 boat334 boat399 boat546 boat616
boat184 boat505
boat185 boat332
boat186 boat237
boat192 boat68
boat199 boat362
boat215 boat231
boat227 boat52
boat230 boat255
boat232 boat602
boat242 boat7
boat256 boat450
boat275 boat382
boat289 boat38
boat290 boat42
boat294 boat397 boat466 boat520
boat327 boat94
boat34 boat638 boat673
boat347 boat65
boat393 boat657
boat405 boat658
boat499 boat642
boat500 boat554
boat515 boat610
boat543 boat593
boat579 boat66
boat672 boat688
boat693 boat93
"""
    )
)

# stem -> all stems of its group, sorted: near-duplicates and frames less than 100 numbers apart
HIT_UAV: Mapping[str, tuple[str, ...]] = dict(
    _by_stem(
        """
0_100_30_0_08070 0_100_30_0_08080 0_100_40_0_08121 0_100_40_0_08131 0_100_70_0_08210 0_100_70_0_08214 \
0_100_70_0_08231 0_100_80_0_08236 0_100_90_0_08279 0_110_40_0_08355 0_110_40_0_08369
0_120_30_0_09446 1_120_40_0_09308 1_120_50_0_09328 1_120_70_0_09385
0_120_40_0_05359 0_120_50_0_05384 0_120_50_0_05402 1_100_80_0_05273
0_120_60_0_09562 0_120_80_0_09609 0_120_80_0_09617 0_120_90_0_09642
0_130_30_0_05580 0_130_60_0_05653 0_130_80_0_05688 0_130_90_0_05702 1_110_30_0_05753 1_110_60_0_05825
0_130_50_0_09745 0_130_60_0_09776 0_130_90_0_09867 1_130_30_0_09960 1_130_30_0_09963 1_130_30_0_09977 \
1_130_40_0_09978 1_130_40_0_10008
0_60_40_0_01660 0_60_40_0_01672 0_60_40_0_01674 0_60_50_0_01680 0_60_70_0_01756 0_60_70_0_01764 0_60_80_0_01791 \
0_70_30_0_01868 0_70_50_0_01923 0_70_70_0_02001 0_70_90_0_02077 0_80_30_0_02097
0_60_40_0_06495 0_60_60_0_06549 0_60_60_0_06560 0_60_70_0_06586 0_60_70_0_06596
0_70_30_0_06714 0_70_40_0_06730 0_70_50_0_06771
0_80_60_0_02204 0_80_60_0_02211
0_80_90_0_07121 1_130_30_0_07136 1_130_30_0_07143 1_130_30_0_07144 1_130_30_0_07153 1_130_40_0_07168 \
1_130_50_0_07206 1_130_50_0_07211 1_130_50_0_07214 1_130_50_0_07216 1_130_70_0_07267 1_130_80_0_07297 \
1_130_90_0_07319 1_130_90_0_07346 1_60_50_0_07423 1_60_60_0_07454
1_100_50_0_06265 1_100_70_0_06350 1_100_70_0_06368
1_110_40_0_09078 1_110_60_0_09129 1_110_70_0_09150
1_110_90_0_05944 1_120_40_0_06016 1_120_70_0_06090 1_120_90_0_06159
1_130_50_0_03892 1_130_50_0_03896 1_130_50_0_03908 1_130_70_0_03995 1_130_70_0_04006 1_130_80_0_04012 \
1_130_80_0_04044 1_130_90_0_04054 1_130_90_0_04063 1_130_90_0_04077 1_60_30_0_04097 1_60_50_0_04175 \
1_60_60_0_04194 1_60_70_0_04208 1_60_80_0_04269 1_70_30_0_04334
1_60_30_0_00022 1_60_30_0_00028 1_60_30_0_00051 1_60_30_0_00141
1_60_50_0_00285 1_60_50_0_00303 1_60_50_0_00313 1_60_50_0_00326 1_60_50_0_00347 1_60_50_0_00369 1_60_50_0_00378 \
1_60_50_0_00386 1_60_50_0_00405 1_60_60_0_00415 1_60_60_0_00421 1_60_60_0_00458 1_60_60_0_00464 1_60_60_0_00500 \
1_60_60_0_00508 1_60_60_0_00521 1_60_60_0_00523 1_60_70_0_00541 1_60_70_0_00616 1_60_70_0_00633 1_60_80_0_00690 \
1_60_80_0_00700
1_60_90_0_07563 1_70_30_0_07576 1_70_30_0_07591 1_70_30_0_07598
1_70_50_0_00959 1_70_60_0_01001
1_80_40_0_01164 1_80_50_0_01196 1_80_50_0_01198 1_80_50_0_01229 1_80_70_0_01292 1_80_80_0_01329 1_80_90_0_01358
1_80_50_0_04687 1_80_70_0_04746 1_80_80_0_04774 1_80_90_0_04796 1_90_40_0_04894
1_90_30_0_08802 1_90_40_0_08841 1_90_70_0_08923 1_90_70_0_08927 1_90_70_0_08953 1_90_80_0_08972
"""
    )
)
