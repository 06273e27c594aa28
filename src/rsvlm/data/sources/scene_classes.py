"""The classes that scene sets publish, as words (`rsvlm.data.sources.layout.class_words`)."""

# fmt: off
CLASSES: dict[str, tuple[str, ...]] = {
    "eurosat": (
        "annual crop", "forest", "herbaceous vegetation", "highway", "industrial", "pasture", "permanent crop",
        "residential", "river", "sea lake",
    ),
    "aid": (
        "airport", "bare land", "baseball field", "beach", "bridge", "center", "church", "commercial",
        "dense residential", "desert", "farmland", "forest", "industrial", "meadow", "medium residential", "mountain",
        "park", "parking", "playground", "pond", "port", "railway station", "resort", "river", "school",
        "sparse residential", "square", "stadium", "storage tanks", "viaduct",
    ),
    "ucm_scenes": (
        "agricultural", "airplane", "baseball diamond", "beach", "buildings", "chaparral", "dense residential",
        "forest", "freeway", "golf course", "harbor", "intersection", "medium residential", "mobile home park",
        "overpass", "parking lot", "river", "runway", "sparse residential", "storage tanks", "tennis court",
    ),
    "rsscn7": (
        "grass", "field", "industry", "river lake", "forest", "resident", "parking",
    ),
    "nwpu_resisc45": (
        "airplane", "airport", "baseball diamond", "basketball court", "beach", "bridge", "chaparral", "church",
        "circular farmland", "cloud", "commercial area", "dense residential", "desert", "forest", "freeway",
        "golf course", "ground track field", "harbor", "industrial area", "intersection", "island", "lake", "meadow",
        "medium residential", "mobile home park", "mountain", "overpass", "palace", "parking lot", "railway",
        "railway station", "rectangular farmland", "river", "roundabout", "runway", "sea ice", "ship", "snowberg",
        "sparse residential", "stadium", "storage tank", "tennis court", "terrace", "thermal power station",
        "wetland",
    ),
    "whu_rs19": (
        "airport", "beach", "bridge", "commercial", "desert", "farmland", "football field", "forest", "industrial",
        "meadow", "mountain", "park", "parking", "pond", "port", "railway station", "residential", "river", "viaduct",
    ),
    "siri_whu": (
        "agriculture", "commercial", "harbor", "idle land", "industrial", "meadow", "overpass", "park", "pond",
        "residential", "river", "water",
    ),
}
# fmt: on
