"""Caption benchmarks: one caption an image against five references."""

from rsvlm.evaluate.protocol_factories import caption_set, with_spice

_AGAINST = "one caption an image against five"

_SETS = (
    caption_set("ucm_captions", f"UCM-Captions: {_AGAINST}", counts={"val": 210, "test": 210}),
    caption_set("sydney_captions", f"Sydney-Captions: {_AGAINST}", counts={"val": 58, "test": 58}),
    caption_set("rsicd", f"RSICD: {_AGAINST}", name="rsicd_captions", counts={"val": 1094, "test": 1093}),
    caption_set("nwpu_captions", f"NWPU-Captions: {_AGAINST}", counts={"val": 3150, "test": 3150}),
)
POSITION = 10
PROTOCOLS = (*_SETS, *map(with_spice, _SETS))
