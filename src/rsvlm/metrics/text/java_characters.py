"""Classes of characters in the Java PTB tokenizer, which knows Unicode 6.2: each stands within a pattern's brackets.

Found by giving it every character of the basic plane alone, between letters and between digits. A character that is in
no class and that Python counts as no letter or digit is dropped, and ends the token before it.
"""


def _ranges(listed: str) -> str:
    """ "0375 0378-0379" -> the characters, as they stand in a class."""
    return "".join("-".join(chr(int(end, 16)) for end in one.split("-")) for one in listed.split())


# Combining marks and modifiers that are part of a word, but not of a run of letters and digits ("1" + mark + "b").
MARKS = _ranges(
    "02c2-02c5 02d2-02df 02e5-02eb 02ed 02ef-036f 0375 0378-0379 0384-0385 03f6 0483-0487 055a-055f 0591-05bd 05bf "
    "05c1-05c2 05c4-05c5 05c7 0615-061a 064b-065e 0670 06d6-06e4 06e7-06ed 06fd-06fe 070f 0711 0730-074c 07a6-07b0 "
    "07eb-07f3 0900-0903 093c 093e-094e 0951-0955 0962-0963 0981-0983 09bc 09be-09c4 09c7-09c8 09cb-09cd 09d7 "
    "09e2-09e3 0a01-0a03 0a3c 0a3e-0a4f 0a81-0a83 0abc 0abe-0acf 0b82 0bbe-0bc2 0bc6-0bc8 0bca-0bcd 0c01-0c03 "
    "0c3e-0c56 0d3e-0d44 0d46-0d48 0e31 0e34-0e3a 0e47-0e4e 0eb1 0eb4-0ebc 0ec8-0ecd"
)

# Signs that are tokens of their own; letters within these ranges are matched by longer rules.
SIGNS = _ranges(
    "00a1 00a5-00a9 00ac 00ae-00b9 00bf-037e 0387 0589 05be-05c6 05f3-05f4 0600-0603 0606-060c 0614-061b 061e-061f "
    "066a 066d-070d 07f6-07f8 0964-0965 0e3f-0e4f 1fbd 2016-2017 201a 201e-2023 2030-2038 203b 203e-2042 2070 "
    "2074-208e 20a4 2100-214f 2155-215e 2190-2bff 3001-3002 3012 30fb ff01-ff65 ffe0-ffe1 ffe5-ffe6"
)

# What Python counts as a letter or digit and the Java program does not.
NO_LETTERS = _ranges(
    "00b2-00b3 00b9 037f 0528-052f 0560 0588 05ef 0860-088e 08a1 08ad-08c9 0978 0980 09f4-09fc 0af9 0b72-0b77 "
    "0bf0-0bf2 0c34 0c5a-0c5d 0c78-0c80 0cdd 0d04 0d54-0d5f 0d70-0d78 0de6-0def 0e86 0e89 0e8c 0e8e-0e93 0e98 0ea0 "
    "0ea8-0ea9 0eac 0f2a-0f33 1369-137c 13f5-13fd 16ee-16f8 170d 171f 17f0-17f9 1878 191d-191e 19b0-19c0 19c8-19c9 "
    "19da 1b4c 1c80-1cbf 1cf2-1cf3 1cfa 2070 2074-2079 2080-2089 2150-2152 2155-2182 2185-2793 2c2f 2c5f 2cfd "
    "3007-3029 3038-303a 312e-312f 3192-3195 31bb-31bf 3220-32bf 4db6-4dbf 9fcd-9fff a698-a69d a6e6-a6ef a78f "
    "a794-a79f a7ab-a7f7 a830-a835 a8fd-a8fe a9e0-a9fe aa7e-aa7f ab30-abbf 00bc-00be 2153-2154 10000-10ffff"
)

# Decimal digits that are newer than its Unicode.
NO_DIGITS = _ranges("0de6-0def a9f0-a9f9 10000-10ffff")
