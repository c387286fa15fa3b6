"""How good a translator is: the field's metrics."""
