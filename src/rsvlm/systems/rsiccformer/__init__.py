"""RSICCformer: change captions by attention to the difference of two dates (TGRS 2022)."""
