"""Knowledge of landmarks in passages: the released templates, written out by hand, and what ours leaves out."""

from rsvlm.index.landmarks import TEMPLATES, KnowledgeChunker

FULL = {
    "world knowledge": {
        "Name": "Muradiye Complex", "Category": "Historic Site", "Area": "Bursa", "Location": "40°11′27″N",
        "Construction_Period": "1426", "Historical_Background": " Built for a sultan. ",
        "Major_Events": [
            {"Event": "Opening", "Year": "1426", "Description": "It was opened."}, {"Event": "Nothing said"},
            {"Description": "An earthquake."},
        ],
        "Architectural_Characteristics": "Domes", "Primary_Function": "Burial", "Details": "12 tombs",
        "Cultural_Significance": "High", "Notable_Visitors": ["Evliya", "Moltke"],
    },
    "remote sensing expert knowledge": {"ALBEDO": 0.17, "EVLAND": "588.25mm"},
    "monthly expert knowledge": {
        "ALBEDO 2019 January": 0.2, "EMIS (Surface emissivity) 2019 January": 0.9, "NDVI 2022 May": 0.3, "bad key": 1,
    },
    "description": " Roofs among trees. ",
}  # fmt: skip
BASIC = (
    "Name: Muradiye Complex; Category: Historic Site; Area: Bursa; Location: 40°11′27″N; Construction_Period: 1426\n"
    "Historical_Background: Built for a sultan.\nMajor Events:\n- Opening (1426): It was opened.\n- (): An earthquake."
).replace("- ():", "-  ():")
ARCHITECTURE = "Architectural_Characteristics: Domes\nPrimary_Function: Burial\nDetails: 12 tombs"
CULTURE = "Cultural_Significance: High\nNotable_Visitors: Evliya, Moltke"
EXPERT = "expert knowledge: ALBEDO: 0.17; EVLAND: 588.25mm"
JANUARY = (
    "monthly expert knowledge - of 2019 January:\nALBEDO 2019 January: 0.2; EMIS (Surface emissivity) 2019 January: 0.9"
)
DESCRIPTION = "Image Description: Roofs among trees."


def told(record, **how):
    return [(p.kind, p.text) for p in KnowledgeChunker(**how).passages(record)]


def test_a_whole_record_is_cut_alike_in_both_forms():
    expected = [
        ("basic_info_and_history", BASIC), ("architecture_and_function", ARCHITECTURE),
        ("culture_and_visitor", CULTURE), ("expert_knowledge", EXPERT), ("monthly_expert_knowledge", JANUARY),
        ("monthly_expert_knowledge", "monthly expert knowledge - of 2022 May:\nNDVI 2022 May: 0.3"),
        ("image_description", DESCRIPTION),
        ("caption", "\n\n".join((BASIC, ARCHITECTURE, CULTURE, EXPERT, DESCRIPTION))),
    ]  # fmt: skip
    assert told(FULL) == told(FULL, released=True) == expected
    months = [p.month for p in KnowledgeChunker().passages(FULL)]
    assert months == ["", "", "", "", "2019 January", "2022 May", "", ""]


def test_missing_fields():
    record = {"world knowledge": {"Name": "Salts Mill", "Major_Events": [], "Notable_Visitors": "Hockney"}}
    assert told(record, released=True) == [
        ("basic_info_and_history", "Name: Salts Mill\nHistorical_Background:"),
        ("architecture_and_function", "Architectural_Characteristics: \nPrimary_Function: \nDetails:"),
        ("culture_and_visitor", "Cultural_Significance: \nNotable_Visitors: Hockney"),
    ]
    assert told(record) == [
        ("basic_info_and_history", "Name: Salts Mill"), ("culture_and_visitor", "Notable_Visitors: Hockney"),
        ("caption", "Name: Salts Mill\n\nNotable_Visitors: Hockney"),
    ]  # fmt: skip


def test_events_behind_an_absent_history():
    record = {"world knowledge": {"Major_Events": [{"Event": "Fire", "Year": 1666, "Description": "It burnt."}]}}
    assert told(record, released=True)[0][1] == "Historical_Background: \nMajor Events:\n- Fire (1666): It burnt."
    assert told(record)[0][1] == "Major Events:\n- Fire (1666): It burnt."


def test_nothing_is_known_and_nonsense():
    assert told({}) == [] and [kind for kind, _ in told({}, released=True)] == [*TEMPLATES][:3]
    odd = {"world knowledge": [1], "monthly expert knowledge": "x", "description": None,
           "remote sensing expert knowledge": {"TS": None}}  # fmt: skip
    assert told(odd) == []
