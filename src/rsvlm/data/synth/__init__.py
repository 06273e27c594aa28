"""Training targets from labels, drawn anew at each visit: conversations, referring phrases, boxes, tags."""
