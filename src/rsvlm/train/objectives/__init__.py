"""What a stage can learn, a module each: its batches and their keys. The loss is the system's, or a head's."""
