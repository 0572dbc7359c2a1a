"""Pictures of coloured volumes, drawn without a screen."""
