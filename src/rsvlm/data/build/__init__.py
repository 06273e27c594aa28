"""Data engines: imagery and labels made into a data set once, to files. What each visit draws is `data.synth`."""
