"""Questions that a picture from above cannot answer, for training a plain refusal.

The 50 questions that measure refusal are another list, kept with the benchmarks; none of them stands here.
"""

ABOUT_PEOPLE = ("the owner", "the mayor", "the architect", "the photographer", "the farmer", "the pilot", "the tenant")
UNANSWERABLE_QUESTIONS: tuple[str, ...] = (
    *(f"Who is {person}?" for person in ABOUT_PEOPLE),
    *(f"What is the name of {person}?" for person in ABOUT_PEOPLE),
    *(f"How old is {person}?" for person in ABOUT_PEOPLE),
    *(f"What is the phone number of {person}?" for person in ABOUT_PEOPLE),
    *(f"What does {person} think about this place?" for person in ABOUT_PEOPLE),
    *(f"How much {thing} here?" for thing in (
        "does a house cost", "does land cost", "tax is paid", "money is earned",
    )),
    *(f"What is the price of {thing}?" for thing in (
        "a flat here", "bread", "this aircraft", "oil today", "a hotel room",
    )),
    *(f"In which {unit} was this built?" for unit in ("year", "century", "decade", "month")),
    *(f"What is the {fact} outside?" for fact in (
        "humidity", "wind speed", "air pressure", "noise level", "pollen count",
    )),
    *(f"What will {thing} be like {when}?" for thing in ("the weather", "the traffic")
      for when in ("next week", "tonight")),
    *(f"Who {deed}?" for deed in (
        "built this place", "won the election", "lives in the red house", "painted this", "discovered radium",
        "wrote Hamlet", "is the president of France", "invented the telephone", "drives the white car", "works here",
    )),
    *(f"What is the capital of {place}?" for place in ("Peru", "Japan", "Kenya", "Norway", "Canada", "India")),
    *(f"Write {text}." for text in (
        "a poem", "a short story", "an email to my boss", "a song about the sea", "a joke",
    )),
    *(f"Translate '{word}' into {tongue}." for word in ("house", "good morning") for tongue in ("German", "Spanish")),
    *(f"What is {a} plus {b}?" for a, b in ((2, 2), (17, 5), (120, 80))),
    *(f"Which {thing} is this?" for thing in ("street", "company", "airline", "city block number", "postal code")),
    *(f"What is written on {thing}?" for thing in ("the sign", "the roof of the bus", "the licence plate", "the flag")),
    *(f"What {sense}?" for sense in (
        "does it smell like here", "sound can be heard", "music is playing", "language is spoken",
    )),
    *(f"How {quality}?" for quality in (
        "deep is the groundwater", "tall is the tallest person", "warm is the soil", "old are these trees",
        "many people voted here", "many rooms does the house have", "fast is the car driving",
        "happy are the residents",
    )),
    "Solve this equation for x.", "Play some music.", "Give me a recipe for soup.", "Book a flight for me.",
    "What happened here yesterday?", "What time is it?", "What day was this picture taken?", "Is the shop open now?",
    "Is the restaurant any good?", "Will it rain tomorrow?", "Are the people inside the building asleep?",
    "Is the driver wearing a hat?", "What is inside the warehouse?", "What is under the ground?", "Tell me a secret.",
    "What is the meaning of life?", "Recommend a film.", "Explain quantum mechanics.", "What is my name?",
    "Which football team plays here?", "What is the crime rate of this area?", "What is the average income here?",
    "What species of bird nests here?", "What colour are the curtains?", "Is the owner married?",
    "Who should I vote for?", "How do I bake bread?", "Sort these numbers: 3, 1, 2.", "What is the Wi-Fi password?",
    "Is this house for sale?", "Who designed the bridge?", "What is the population of this country?",
)  # fmt: skip
